//! The `Module` trait: one walk over a module's members, and everything that follows from it.

mod containers;
mod field;
mod file;
mod hooks;
mod parameter;
mod sequential;
mod state;
mod summary;
mod tree;

pub use containers::{BufferList, ModuleDict, ModuleList, ParameterList};
pub use field::{Field, Member};
pub use file::{load_file, save_file};
pub use hooks::{Hook, Hooked};
pub use parameter::{Buffer, Parameter, Training};
pub use sequential::Sequential;
pub(crate) use state::load_where;
pub use state::{LoadError, LoadOptions, LoadReport, StateDict};
pub use summary::Summary;

use std::any::Any;
use std::collections::HashSet;

use autograd::Var;
use tensor::{DType, Tensor};

/// A part of a model: parameters, buffers and other modules, walked by name.
///
/// Write a struct, derive the trait, and give it a `forward`:
///
/// ```
/// use nn::prelude::*;
///
/// #[derive(Module)]
/// struct Residual {
///     inner: Linear,
///     scale: Parameter,
///     #[module(config)]
///     power: f64,
/// }
///
/// impl Forward for Residual {
///     fn forward(&self, x: &Var) -> Var {
///         x + self.inner.forward(x) * &*self.scale * self.power
///     }
/// }
///
/// let model = Residual { inner: Linear::new(4, 4), scale: Parameter::new(Tensor::ones([4], DType::F32)), power: 0.5 };
/// let keys: Vec<String> = model.state_dict().keys().cloned().collect();
/// assert_eq!(keys, ["scale", "inner.weight", "inner.bias"]);
/// assert_eq!(model.num_parameters(), 4 + 16 + 4);
/// println!("{model}"); // the tree, as PyTorch prints it
/// ```
///
/// Names are the fields' names, joined by dots. The order is PyTorch's: a module's own parameters, then its own
/// buffers, then its children, each in the order of the fields. Nothing is skipped silently: a field that is neither a
/// module, a parameter, a buffer, a training flag nor a container of those is a compile error until it is marked as
/// configuration.
///
/// ```compile_fail
/// use nn::prelude::*;
///
/// #[derive(Module)]
/// struct Block {
///     linear: Linear,
///     heads: usize, // error: field `heads` is a `usize`, which is configuration: mark it `#[module(config)]`
/// }
/// ```
///
/// An option that does not exist is an error too, and so is an enum:
///
/// ```compile_fail
/// #[derive(nn::Module)]
/// struct Block {
///     #[module(skip)]
///     heads: usize,
/// }
/// ```
///
/// ```compile_fail
/// #[derive(nn::Module)]
/// enum Norm {
///     None,
/// }
/// ```
///
/// By hand, the walk ([`visit`](Module::visit)) and the name are all there is to write; the derive also adds `Display`.
///
/// # Differs
/// A module has no `forward` here; [`Forward`] is for those with one input and one output. A module that is reachable
/// by two paths is listed under both (PyTorch lists it once); its parameters are listed once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a module",
    label = "not a module",
    note = "in a struct that derives Module: mark the field `#[module(config)]` if it is plain configuration"
)]
pub trait Module: AsModule {
    /// The name of the type, for the printed tree.
    fn type_name(&self) -> &'static str;

    /// Hands out each direct member with its name, in the order of the fields.
    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>));

    /// What stands between the parentheses of the printed tree, such as `in_features=4, out_features=2, bias=True`.
    fn extra_repr(&self) -> String {
        String::new()
    }

    /// The module that this one only points to, as a `Box`, an `Rc` and a [`Hooked`] do; everything that can be asked of
    /// this module is asked of that one.
    fn target(&self) -> Option<&dyn Module> {
        None
    }

    /// The parameters of the whole tree, each once.
    fn parameters(&self) -> Vec<Parameter> {
        self.named_parameters().into_iter().map(|(_, parameter)| parameter).collect()
    }

    /// The parameters of the whole tree with their names; a tied parameter stands once, under its first name.
    fn named_parameters(&self) -> Vec<(String, Parameter)> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        walk(self.as_module(), &mut |name, member| {
            if let Member::Parameter(parameter) = member
                && seen.insert(parameter.id())
            {
                found.push((name.to_owned(), parameter.clone()));
            }
        });
        found
    }

    /// The buffers of the whole tree, each once.
    fn buffers(&self) -> Vec<Buffer> {
        self.named_buffers().into_iter().map(|(_, buffer)| buffer).collect()
    }

    /// The buffers of the whole tree with their names; a shared buffer stands once, under its first name.
    fn named_buffers(&self) -> Vec<(String, Buffer)> {
        let mut found: Vec<(String, Buffer)> = Vec::new();
        walk(self.as_module(), &mut |name, member| {
            if let Member::Buffer(buffer) = member
                && !found.iter().any(|(_, known)| known.ptr_eq(buffer))
            {
                found.push((name.to_owned(), buffer.clone()));
            }
        });
        found
    }

    /// This module under the empty name, then every module below it with its path, parents before children.
    fn named_modules(&self) -> Vec<(String, &dyn Module)> {
        let mut found = vec![(String::new(), self.as_module())];
        walk(self.as_module(), &mut |name, member| {
            if let Member::Module(module) = member {
                found.push((name.to_owned(), module));
            }
        });
        found
    }

    /// The modules directly below this one.
    fn children(&self) -> Vec<&dyn Module> {
        self.named_children().into_iter().map(|(_, child)| child).collect()
    }

    /// The modules directly below this one with their names.
    fn named_children(&self) -> Vec<(String, &dyn Module)> {
        let mut found = Vec::new();
        self.visit(&mut |name, member| {
            if let Member::Module(child) = member {
                found.push((name.to_owned(), child));
            }
        });
        found
    }

    /// The module at this path, such as `"blocks.3.attention"`; this module itself for the empty one.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let model = sequential![Linear::new(2, 3), sequential![Linear::new(3, 1)]];
    /// model.get_submodule("1.0").unwrap().requires_grad_(false);
    /// assert!(!model.get_parameter("1.0.bias").unwrap().requires_grad());
    /// assert!(model.get_submodule("2").is_none());
    /// ```
    fn get_submodule(&self, path: &str) -> Option<&dyn Module> {
        let mut module = self.as_module();
        for name in path.split('.').filter(|_| !path.is_empty()) {
            module = module.named_children().into_iter().find(|(child, _)| child == name)?.1;
        }
        Some(module)
    }

    /// The parameter at this path, such as `"blocks.3.norm.weight"`.
    fn get_parameter(&self, path: &str) -> Option<Parameter> {
        match own_member(self.as_module(), path)? {
            Member::Parameter(parameter) => Some(parameter.clone()),
            _ => None,
        }
    }

    /// The buffer at this path, such as `"norm.running_mean"`.
    fn get_buffer(&self, path: &str) -> Option<Buffer> {
        match own_member(self.as_module(), path)? {
            Member::Buffer(buffer) => Some(buffer.clone()),
            _ => None,
        }
    }

    /// Calls `f` with every module of the tree, children before parents and this module last.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let model = sequential![Linear::new(2, 3), ReLU::new(), Linear::new(3, 1)];
    /// model.apply(&mut |module| {
    ///     for (name, member) in module.named_parameters() {
    ///         if name == "bias" {
    ///             init::zeros_(&member);
    ///         }
    ///     }
    /// });
    /// assert_eq!(model.state_dict()["2.bias"].item::<f32>(), 0.0);
    /// ```
    fn apply(&self, f: &mut dyn FnMut(&dyn Module)) {
        for child in self.children() {
            child.apply(f);
        }
        f(self.as_module());
    }

    /// Every parameter and persistent buffer under its dotted name. The tensors are snapshots: training on does not
    /// change them.
    ///
    /// A tied parameter stands under each of its names, as in PyTorch. A quantised one is there in f32, with what it lost.
    fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        walk(self.as_module(), &mut |name, member| match member {
            Member::Parameter(parameter) => drop(dict.insert(name.to_owned(), parameter.value())),
            Member::Buffer(buffer) if buffer.is_persistent() => drop(dict.insert(name.to_owned(), buffer.value())),
            _ => {}
        });
        dict
    }

    /// Takes over the values of a state dict, whose keys must be exactly this module's.
    ///
    /// Values are converted to the module's dtypes, and a quantised parameter becomes one of f32. Tied parameters stay tied, and
    /// one of their names is enough.
    ///
    /// # Errors
    /// All missing, unexpected and mis-shaped keys at once, each with the closest name; nothing is changed then.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let (a, b) = (Linear::new(3, 2), Linear::new(3, 2));
    /// b.load_state_dict(&a.state_dict()).unwrap();
    /// assert!(a.weight.value().bit_eq(&b.weight.value()));
    ///
    /// let error = Linear::new(4, 2).load_state_dict(&a.state_dict()).unwrap_err();
    /// assert!(error.to_string().contains("weight: [2, 3] in the state dict, [2, 4] in the module"));
    /// ```
    fn load_state_dict(&self, dict: &StateDict) -> Result<(), LoadError> {
        self.load_state_dict_with(dict, LoadOptions::default()).map(drop)
    }

    /// [`load_state_dict`](Module::load_state_dict) with options: when not strict, missing and unexpected keys are
    /// reported instead of refused.
    ///
    /// # Errors
    /// Mis-shaped and contradicting keys always; missing and unexpected ones when strict. Nothing is changed then.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let (body, model) = (sequential![Linear::new(2, 3)], sequential![Linear::new(2, 3), Linear::new(3, 1)]);
    /// let report = model.load_state_dict_with(&body.state_dict(), LoadOptions { strict: false }).unwrap();
    /// assert_eq!(report.missing_keys, ["1.weight", "1.bias"]);
    /// assert!(report.unexpected_keys.is_empty());
    /// ```
    fn load_state_dict_with(&self, dict: &StateDict, options: LoadOptions) -> Result<LoadReport, LoadError> {
        state::load_where(self.as_module(), dict, options, &|_| true)
    }

    /// Training mode for the whole tree.
    fn train(&self) {
        self.set_training(true);
    }

    /// Evaluation mode for the whole tree: dropout passes everything, for instance. Gradients are recorded as before.
    fn eval(&self) {
        self.set_training(false);
    }

    /// Sets the mode of the whole tree.
    fn set_training(&self, training: bool) {
        walk(self.as_module(), &mut |_, member| {
            if let Member::Training(flag) = member {
                flag.set(training);
            }
        });
    }

    /// The mode of the first training flag in the tree.
    ///
    /// # Differs
    /// A tree without any flag acts the same in both modes and says `true`; in PyTorch every module has a flag.
    fn is_training(&self) -> bool {
        let mut mode = None;
        walk(self.as_module(), &mut |_, member| {
            if let Member::Training(flag) = member {
                mode.get_or_insert(flag.get());
            }
        });
        mode.unwrap_or(true)
    }

    /// Forgets the gradient of every parameter.
    fn zero_grad(&self) {
        for parameter in self.parameters() {
            parameter.zero_grad();
        }
    }

    /// Whether gradients are computed for the parameters of the tree: `false` freezes them.
    ///
    /// # Panics
    /// When turned on and a parameter is quantised.
    fn requires_grad_(&self, requires_grad: bool) {
        for parameter in self.parameters() {
            parameter.requires_grad_(requires_grad);
        }
    }

    /// A table of the modules that have parameters or buffers: path, type, shapes, number of elements, and the totals.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let model = sequential![Linear::new(100, 40), ReLU::new(), Linear::new(40, 2)];
    /// assert_eq!(
    ///     model.summary().to_string(),
    ///     "module  type    shapes                       parameters
    /// 0       Linear  weight [40, 100], bias [40]       4,040
    /// 2       Linear  weight [2, 40], bias [2]             82
    /// 4,122 parameters, 4,122 trainable, 0 frozen
    /// 16.5 kB in memory"
    /// );
    /// ```
    fn summary(&self) -> Summary {
        Summary::new(self.as_module())
    }

    /// The number of numbers in all parameters; a tied parameter counts once.
    fn num_parameters(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.numel()).sum()
    }

    /// Converts every parameter and buffer of a floating dtype; gradients are forgotten. Quantised parameters become floats.
    ///
    /// # Panics
    /// When `dtype` is not a floating one.
    ///
    /// # Differs
    /// PyTorch's `to(dtype)` converts the gradients too.
    fn to_dtype(&self, dtype: DType) {
        assert!(dtype.is_floating_point(), "to_dtype: the parameters of a module are floating\n  dtype {dtype}");
        let convert = |value: Tensor| if value.dtype().is_floating_point() { value.to_dtype(dtype) } else { value };
        for parameter in self.parameters() {
            parameter.zero_grad();
            parameter.set_value(convert(parameter.value()));
        }
        for buffer in self.buffers() {
            buffer.set(convert(buffer.value()));
        }
    }
}

/// A module as a trait object; every [`Module`] has it.
pub trait AsModule: 'static {
    /// The module behind a `dyn` reference.
    fn as_module(&self) -> &dyn Module;

    /// The module as a value of unknown type.
    fn as_any(&self) -> &dyn Any;
}

impl<M: Module> AsModule for M {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl dyn Module {
    /// The module as an `M`, if it is one or points to one: Python's `isinstance`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let model = sequential![Linear::new(2, 3), ReLU::new(), Linear::new(3, 1)];
    /// model.apply(&mut |module| {
    ///     if let Some(linear) = module.downcast_ref::<Linear>() {
    ///         init::xavier_uniform_(&linear.weight, 1.0);
    ///         init::zeros_(linear.bias.as_ref().unwrap());
    ///     }
    /// });
    /// ```
    pub fn downcast_ref<M: Module>(&self) -> Option<&M> {
        let found = self.as_any().downcast_ref::<M>();
        found.or_else(|| self.target().and_then(|target| target.downcast_ref()))
    }
}

/// A module with one input and one output, as [`Sequential`](crate::Sequential) holds them.
///
/// The training mode and the buffers are behind interior mutability, so a forward pass needs only `&self`.
pub trait Forward: Module {
    /// The output of the module for this input.
    fn forward(&self, input: &Var) -> Var;
}

/// The parameter, buffer or child at a path.
fn own_member<'a>(module: &'a dyn Module, path: &str) -> Option<Member<'a>> {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut found = None;
    module.get_submodule(parent)?.visit(&mut |own, member| {
        if own == name && !matches!(member, Member::Training(_)) {
            found = Some(member);
        }
    });
    found
}

/// Calls `each` with every member below `module` and its path: own parameters, own buffers and the flag, then each
/// child followed by what is below it.
pub(crate) fn walk<'a>(module: &'a dyn Module, each: &mut dyn FnMut(&str, Member<'a>)) {
    walk_below(module, "", each);
}

fn walk_below<'a>(module: &'a dyn Module, prefix: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
    let path = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    let (mut buffers, mut children) = (Vec::new(), Vec::new());
    module.visit(&mut |name, member| match member {
        Member::Buffer(_) => buffers.push((path(name), member)),
        Member::Module(child) => children.push((path(name), child)),
        Member::Parameter(_) | Member::Training(_) => each(&path(name), member),
    });
    for (path, buffer) in buffers {
        each(&path, buffer);
    }
    for (path, child) in children {
        each(&path, Member::Module(child));
        walk_below(child, &path, each);
    }
}
