//! The instructions of pickles, as Python's `pickletools` names them.

macro_rules! opcodes {
    (known { $($name:ident = $code:literal;)* } named { $($other:ident = $other_code:literal;)* }) => {
        $(pub(super) const $name: u8 = $code;)*

        /// The name of an instruction.
        pub(super) fn name(code: u8) -> Option<&'static str> {
            match code {
                $($code => Some(stringify!($name)),)*
                $($other_code => Some(stringify!($other)),)*
                _ => None,
            }
        }
    };
}

opcodes! {
    known {
        // Read.
        PROTO = 0x80; FRAME = 0x95; STOP = b'.'; MARK = b'('; NONE = b'N'; NEWTRUE = 0x88; NEWFALSE = 0x89; BININT = b'J';
        BININT1 = b'K'; BININT2 = b'M'; LONG1 = 0x8a; LONG4 = 0x8b; BINFLOAT = b'G'; SHORT_BINUNICODE = 0x8c;
        BINUNICODE = b'X'; BINUNICODE8 = 0x8d; EMPTY_TUPLE = b')'; TUPLE1 = 0x85; TUPLE2 = 0x86; TUPLE3 = 0x87; TUPLE = b't';
        EMPTY_LIST = b']'; APPEND = b'a'; APPENDS = b'e'; EMPTY_DICT = b'}'; SETITEM = b's'; SETITEMS = b'u'; GLOBAL = b'c';
        STACK_GLOBAL = 0x93; REDUCE = b'R'; BUILD = b'b'; BINPERSID = b'Q'; PUT = b'p'; BINPUT = b'q'; LONG_BINPUT = b'r';
        MEMOIZE = 0x94; GET = b'g'; BINGET = b'h'; LONG_BINGET = b'j';
        // Refused with words of their own: an object of any class, bytes, sets.
        INST = b'i'; BINBYTES = b'B'; SHORT_BINBYTES = b'C'; BINBYTES8 = 0x8e; BYTEARRAY8 = 0x96; EMPTY_SET = 0x8f;
        FROZENSET = 0x91;
    }
    named {
        // Objects of any class.
        OBJ = b'o'; NEWOBJ = 0x81; NEWOBJ_EX = 0x92; EXT1 = 0x82; EXT2 = 0x83; EXT4 = 0x84;
        // What only old or unusual writers use.
        NEXT_BUFFER = 0x97; READONLY_BUFFER = 0x98; ADDITEMS = 0x90; POP = b'0'; POP_MARK = b'1'; DUP = b'2'; INT = b'I';
        LONG = b'L'; FLOAT = b'F'; STRING = b'S'; BINSTRING = b'T'; SHORT_BINSTRING = b'U'; UNICODE = b'V'; LIST = b'l';
        DICT = b'd'; PERSID = b'P';
    }
}
