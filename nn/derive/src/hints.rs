//! Types that are known to be no part of a module, and what to do about them: said by the macro, at the field, before the
//! compiler would speak of traits.

use syn::{GenericArgument, PathArguments, Type};

/// Types of plain values.
const PLAIN: [&str; 21] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "bool",
    "char", "str", "String", "PathBuf", "DType", "Duration",
];

/// What is wrong with a field of this type, if it is one of the known ones or a container of them.
pub fn hint(ty: &Type) -> Option<String> {
    match ty {
        Type::Tuple(_) => Some(configuration("a tuple")),
        Type::BareFn(_) => Some(configuration("a function pointer")),
        Type::Reference(_) => Some("is a reference; a module owns what is in it, shared parts as `Rc<..>`".to_owned()),
        Type::Array(array) => hint(&array.elem),
        Type::Paren(inner) => hint(&inner.elem),
        Type::Group(inner) => hint(&inner.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let name = last.ident.to_string();
            match name.as_str() {
                "Tensor" | "Var" => Some(format!(
                    "is a `{name}`, which no module can own bare: make it a `Parameter` (trained and saved) or a `Buffer` \
                     (saved), or mark it `#[module(config)]`"
                )),
                "HashMap" | "BTreeMap" => Some(format!(
                    "is a `{name}`; a dictionary of modules or parameters is a `ModuleDict`, whose order is that of insertion; \
                     mark it `#[module(config)]` if it is plain configuration"
                )),
                "Option" | "Vec" | "Box" | "Rc" | "ModuleList" | "ModuleDict" => match &last.arguments {
                    PathArguments::AngleBracketed(arguments) => {
                        arguments.args.iter().find_map(|argument| match argument {
                            GenericArgument::Type(inner) => hint(inner),
                            _ => None,
                        })
                    }
                    _ => None,
                },
                plain if PLAIN.contains(&plain) => Some(configuration(&format!("a `{plain}`"))),
                _ => None,
            }
        }
        _ => None,
    }
}

fn configuration(what: &str) -> String {
    format!("is {what}, which is configuration: mark it `#[module(config)]`")
}
