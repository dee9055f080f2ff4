//! CSV files: tables of text whose columns become tensors.
//!
//! ```
//! use models::data::csv::{CsvOptions, Table};
//! use tensor::DType;
//!
//! let text = "length,width,kind\n5.1,3.5,setosa\n6.2,2.9,virginica\n4.9,3.0,setosa\n";
//! let table = Table::from_bytes(text.as_bytes(), CsvOptions::default())?;
//! let x = table.tensor(["length", "width"], DType::F32)?;
//! let (y, kinds) = table.classes("kind")?;
//! assert_eq!((x.dims(), y.to_vec::<i64>()), (&[3, 2][..], vec![0, 1, 0]));
//! assert_eq!(kinds, ["setosa", "virginica"]);
//! # Ok::<(), models::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tensor::{DType, Element, Tensor};

use super::bytes;
use crate::{Error, Result};

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// What stands between cells (default `,`; `\t` and `;` are common).
    pub delimiter: u8,
    /// Whether the first line names the columns (default yes).
    pub has_header: bool,
    /// Lines that begin with it are left out (default none).
    pub comment: Option<u8>,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions { delimiter: b',', has_header: true, comment: None }
    }
}

/// A column, by its name or by its place from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The column that the header calls so.
    Named(String),
    /// The column at this place.
    At(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Column {
        Column::Named(name.to_string())
    }
}

impl From<usize> for Column {
    fn from(at: usize) -> Column {
        Column::At(at)
    }
}

/// The cells of a file, as text. Cells are turned into numbers when they are asked for.
#[derive(Debug, Clone)]
pub struct Table {
    /// For messages; empty when the table was not a file.
    path: PathBuf,
    header: Vec<String>,
    columns: usize,
    /// All cells one after the other, and where each ends.
    text: String,
    ends: Vec<usize>,
    /// The line of each row.
    lines: Vec<u64>,
}

impl Table {
    /// Reads a file, which may be gzipped.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`from_bytes`](Table::from_bytes).
    pub fn load(path: impl AsRef<Path>, options: CsvOptions) -> Result<Table> {
        let path = path.as_ref();
        let table = bytes::load(path, bytes::NO_CLAIM, |bytes| parse(bytes, options))?;
        Ok(Table { path: path.to_path_buf(), ..table })
    }

    /// Reads the bytes of a file.
    ///
    /// Cells may be quoted (`"a ""quoted"" cell, with a comma"`); spaces around them are left out, and so are empty lines.
    ///
    /// # Errors
    /// When they are not UTF-8, or a line has more or fewer cells than the first.
    pub fn from_bytes(bytes: &[u8], options: CsvOptions) -> Result<Table> {
        parse(bytes::gunzip(bytes.to_vec(), bytes::NO_CLAIM)?, options)
    }

    /// The number of rows, the header not counted.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The names of the columns; empty without a header.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Some columns as numbers; `0..table.columns()` is all of them.
    ///
    /// # Shape
    /// `[rows, columns]` of `dtype`.
    ///
    /// # Errors
    /// When there is no such column, a cell is not a number of this dtype (the error names its line and column; an empty
    /// cell is none), or the dtype is not f32, f64 or i64.
    ///
    /// ```
    /// use models::data::csv::{CsvOptions, Table};
    /// use tensor::DType;
    ///
    /// let table = Table::from_bytes(b"1;2\n3;x\n", CsvOptions { delimiter: b';', has_header: false, comment: None })?;
    /// assert_eq!(table.tensor([0], DType::I64)?.to_vec::<i64>(), [1, 3]);
    /// let error = table.tensor(0..2, DType::I64).unwrap_err();
    /// assert_eq!(error.to_string(), r#"line 2, column 2: "x" is no i64"#);
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn tensor<C: Into<Column>>(&self, columns: impl IntoIterator<Item = C>, dtype: DType) -> Result<Tensor> {
        let columns = columns.into_iter().map(|column| self.place(column.into())).collect::<Result<Vec<usize>>>()?;
        self.numbers(&columns, dtype)
    }

    /// One column as numbers.
    ///
    /// # Shape
    /// `[rows]` of `dtype`.
    ///
    /// # Errors
    /// As [`tensor`](Table::tensor).
    pub fn column(&self, column: impl Into<Column>, dtype: DType) -> Result<Tensor> {
        Ok(self.numbers(&[self.place(column.into())?], dtype)?.reshape([self.rows()]))
    }

    /// One column as it is.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn strings(&self, column: impl Into<Column>) -> Result<Vec<&str>> {
        let column = self.place(column.into())?;
        Ok((0..self.rows()).map(|row| self.cell(row, column)).collect())
    }

    /// One column as classes: the number of each cell (i64 `[rows]`) among the different cells, and these in order.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn classes(&self, column: impl Into<Column>) -> Result<(Tensor, Vec<String>)> {
        let cells = self.strings(column)?;
        let mut classes = cells.clone();
        classes.sort_unstable();
        classes.dedup();
        let ids = cells.iter().map(|cell| classes.binary_search(cell).expect("every cell is there") as i64).collect();
        Ok((Tensor::from_vec::<i64>(ids, [cells.len()]), classes.into_iter().map(str::to_string).collect()))
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns + column;
        &self.text[if at == 0 { 0 } else { self.ends[at - 1] }..self.ends[at]]
    }

    fn numbers(&self, columns: &[usize], dtype: DType) -> Result<Tensor> {
        match dtype {
            DType::F32 => self.parsed::<f32>(columns),
            DType::F64 => self.parsed::<f64>(columns),
            DType::I64 => self.parsed::<i64>(columns),
            other => Err(Error::invalid(format!("cells are read as f32, f64 or i64, not as {other}"))),
        }
    }

    fn parsed<T: Element + FromStr>(&self, columns: &[usize]) -> Result<Tensor> {
        let mut numbers = Vec::with_capacity(self.rows() * columns.len());
        for row in 0..self.rows() {
            for &column in columns {
                let cell = self.cell(row, column);
                numbers.push(cell.parse::<T>().map_err(|_| {
                    let name = self.header.get(column).map_or(String::new(), |name| format!(" ({name})"));
                    let (line, shown) = (self.lines[row], cell.chars().take(40).collect::<String>());
                    self.error(format!("line {line}, column {}{name}: {shown:?} is no {}", column + 1, T::DTYPE))
                })?);
            }
        }
        Ok(Tensor::from_vec(numbers, [self.rows(), columns.len()]))
    }

    /// The place of a column.
    fn place(&self, column: Column) -> Result<usize> {
        match column {
            Column::At(at) if at < self.columns => Ok(at),
            Column::At(at) => {
                Err(self.error(format!("there is no column {at}, the last is {}", self.columns as i64 - 1)))
            }
            Column::Named(name) => {
                let mut places = (0..self.header.len()).filter(|&at| self.header[at] == name);
                match (places.next(), places.next()) {
                    (Some(at), None) => Ok(at),
                    (None, _) => Err(self.error(format!("there is no column {name:?}, but {:?}", self.header))),
                    _ => Err(self.error(format!("two columns are named {name:?}; choose one by its place"))),
                }
            }
        }
    }

    fn error(&self, what: impl fmt::Display) -> Error {
        if self.path.as_os_str().is_empty() { Error::invalid(what) } else { Error::in_file(&self.path, what) }
    }
}

fn parse(bytes: Vec<u8>, options: CsvOptions) -> Result<Table> {
    let text = bytes::utf8(Cow::Owned(bytes))?;
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(options.delimiter)
        .comment(options.comment)
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut table =
        Table { path: PathBuf::new(), header: vec![], columns: 0, text: String::new(), ends: vec![], lines: vec![] };
    let (mut record, mut first) = (::csv::StringRecord::new(), true);
    while reader.read_record(&mut record).map_err(Error::invalid)? {
        let line = record.position().map_or(0, |position| line(&text, position, options.comment));
        if first {
            table.columns = record.len();
        } else if record.len() != table.columns {
            let (cells, columns) = (record.len(), table.columns);
            return Err(Error::invalid(format!("line {line}: {cells} cells, the lines before have {columns}")));
        }
        if std::mem::take(&mut first) && options.has_header {
            table.header = record.iter().map(str::to_string).collect();
            continue;
        }
        for cell in &record {
            table.text.push_str(cell);
            table.ends.push(table.text.len());
        }
        table.lines.push(line);
    }
    Ok(table)
}

/// The line in which a record begins whose reading began at `position`: empty lines and comments may come first.
fn line(text: &str, position: &::csv::Position, comment: Option<u8>) -> u64 {
    let (mut line, mut rest) = (position.line(), &text.as_bytes()[position.byte() as usize..]);
    while let [first, after @ ..] = rest {
        rest = match first {
            // Alone it ends a line, too, but lines are counted by their `\n`.
            b'\r' => after,
            b'\n' => {
                line += 1;
                after
            }
            _ if Some(*first) == comment
                && let Some(end) = after.iter().position(|&byte| byte == b'\n') =>
            {
                line += 1;
                &after[end + 1..]
            }
            _ => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::from_bytes(text.as_bytes(), CsvOptions::default()).unwrap()
    }

    fn refused<T: fmt::Debug>(result: Result<T>, says: &str) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
    }

    #[test]
    fn columns_become_tensors() {
        let table = table("\u{feff}a, b ,\"c \"\"d\"\"\"\n1, 2.5,x\n\n-3,1e2,\"y,\nz\"\n");
        assert_eq!(table.header(), ["a", "b", "c \"d\""]);
        assert_eq!((table.rows(), table.columns()), (2, 3));
        let both = table.tensor(["b", "a"], DType::F64).unwrap();
        assert!(both.bit_eq(&Tensor::from([[2.5, 1.0], [100.0, -3.0]])));
        assert!(table.tensor(0..2, DType::F32).unwrap().bit_eq(&Tensor::from([[1f32, 2.5], [-3.0, 100.0]])));
        assert!(table.column("a", DType::I64).unwrap().bit_eq(&Tensor::from([1i64, -3])));
        assert_eq!(table.strings(2).unwrap(), ["x", "y,\nz"]);
        assert_eq!(table.tensor([0usize; 0], DType::F32).unwrap().dims(), [2, 0]);
    }

    #[test]
    fn other_ways_of_writing() {
        let options = CsvOptions { delimiter: b'\t', has_header: false, comment: Some(b'#') };
        let table = Table::from_bytes(b"# two points\n1\t2\r\n3\t4\r\n", options.clone()).unwrap();
        assert_eq!(table.tensor(0..2, DType::I64).unwrap().to_vec::<i64>(), [1, 2, 3, 4]);
        assert!(table.header().is_empty());
        refused(Table::from_bytes(b"#\n1\t2\r\n# \r\n\r\n3\n", options.clone()), "line 5: 1 cells");
        let empty = Table::from_bytes(b"", options).unwrap();
        assert_eq!((empty.rows(), empty.columns()), (0, 0));
        assert_eq!(empty.tensor([0usize; 0], DType::F32).unwrap().dims(), [0, 0]);
        let header = self::table("a,b\n");
        assert_eq!(header.tensor(0..2, DType::F32).unwrap().dims(), [0, 2]);
    }

    #[test]
    fn errors_say_where() {
        let table = table("a,b,a\n1,2,3\n\n4,five,6\n7,,9223372036854775808\n");
        refused(table.column("b", DType::F32), "line 4, column 2 (b): \"five\" is no f32");
        refused(table.column(2, DType::I64), "line 5, column 3 (a): \"9223372036854775808\" is no i64");
        refused(table.column("a", DType::I64), "two columns are named \"a\"");
        refused(table.column("c", DType::I64), "there is no column \"c\", but [\"a\", \"b\", \"a\"]");
        refused(table.tensor([1, 3], DType::F32), "there is no column 3, the last is 2");
        refused(table.column(0, DType::U8), "not as u8");
        refused(table.classes("x"), "no column");
        refused(Table::from_bytes(b"a,b\n1,2\n3\n", CsvOptions::default()), "line 3: 1 cells, the lines before have 2");
        refused(Table::from_bytes(b"a\n\xff\n", CsvOptions::default()), "line 2: the text is not UTF-8");
        // A lone \r ends a line as well, though it is not counted as one.
        refused(self::table("a\n1\r\n\rx\n").column(0, DType::I64), "line 3, column 1 (a): \"x\" is no i64");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        std::fs::write(&path, "a\n1\nx\n").unwrap();
        let table = Table::load(&path, CsvOptions::default()).unwrap();
        refused(table.column("a", DType::F32), "x.csv: line 3, column 1 (a): \"x\" is no f32");
        refused(Table::load(dir.path().join("y"), CsvOptions::default()), "cannot read");
    }
}
