//! Lists and dictionaries of modules and parameters.

use indexmap::IndexMap;

use super::{Buffer, Field, Member, Module, Parameter};

/// Modules under the names `0`, `1`, ...: a `Vec`. It has no forward pass of its own.
///
/// ```
/// use nn::prelude::*;
///
/// #[derive(Module)]
/// struct Stack {
///     layers: ModuleList<Linear>,
/// }
///
/// let stack = Stack { layers: (0..3).map(|_| Linear::new(4, 4)).collect() };
/// assert_eq!(stack.named_parameters()[2].0, "layers.1.weight");
/// assert_eq!(
///     stack.to_string(),
///     "Stack(
///   (layers): ModuleList(
///     (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
///   )
/// )"
/// );
/// ```
///
/// Modules of different types stand in it as `ModuleList<Box<dyn Forward>>`.
pub type ModuleList<M> = Vec<M>;

/// Modules under names of their own, in the order of insertion: an `IndexMap`.
///
/// ```
/// use nn::prelude::*;
///
/// let heads = ModuleDict::from([("digit".to_owned(), Linear::new(8, 10)), ("sign".to_owned(), Linear::new(8, 2))]);
/// assert_eq!(heads["sign"].out_features(), 2);
/// assert_eq!(heads.named_parameters()[2].0, "sign.weight");
/// ```
pub type ModuleDict<M> = IndexMap<String, M>;

/// Parameters under the names `0`, `1`, ...: a `Vec`.
///
/// ```
/// use nn::prelude::*;
///
/// let list: ParameterList = vec![Parameter::new(Tensor::ones([2, 3], DType::F32))];
/// assert_eq!(list.state_dict()["0"].dims(), [2, 3]);
/// ```
pub type ParameterList = Vec<Parameter>;

/// Buffers under the names `0`, `1`, ...: a `Vec`.
pub type BufferList = Vec<Buffer>;

/// Children under `0`, `1`, ...
impl<T: Field + 'static> Module for Vec<T> {
    fn type_name(&self) -> &'static str {
        T::LIST
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        visit_items(self, each);
    }

    fn extra_repr(&self) -> String {
        parameters_repr(self)
    }
}

/// Children under `0`, `1`, ...
impl<T: Field + 'static, const N: usize> Module for [T; N] {
    fn type_name(&self) -> &'static str {
        T::LIST
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        visit_items(self, each);
    }

    fn extra_repr(&self) -> String {
        parameters_repr(self)
    }
}

/// Children under their keys.
impl<T: Field + 'static> Module for IndexMap<String, T> {
    fn type_name(&self) -> &'static str {
        match T::LIST {
            "ParameterList" => "ParameterDict",
            "BufferList" => "BufferDict",
            _ => "ModuleDict",
        }
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        for (name, item) in self {
            item.visit_field(name, each);
        }
    }

    fn extra_repr(&self) -> String {
        parameters_repr(self)
    }
}

fn visit_items<'a, T: Field>(items: &'a [T], each: &mut dyn FnMut(&str, Member<'a>)) {
    for (position, item) in items.iter().enumerate() {
        item.visit_field(&position.to_string(), each);
    }
}

/// One line for each parameter of a list or dictionary, as PyTorch prints them.
fn parameters_repr(container: &dyn Module) -> String {
    let mut lines = Vec::new();
    container.visit(&mut |name, member| {
        if let Member::Parameter(parameter) = member {
            let sizes: Vec<String> = parameter.shape().iter().map(usize::to_string).collect();
            let dtype = parameter.dtype();
            lines.push(format!("  ({name}): Parameter containing: [{dtype} of size {}]", sizes.join("x")));
        }
    });
    lines.join("\n")
}
