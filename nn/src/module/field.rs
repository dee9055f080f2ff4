//! What a field of a module may be, and the containers of such fields.

use std::rc::Rc;

use autograd::Var;

use crate::{Buffer, Forward, Module, Parameter, Training};

/// One thing that a module holds, as [`Module::visit`] hands it out.
#[derive(Clone, Copy)]
pub enum Member<'a> {
    /// A child module.
    Module(&'a dyn Module),
    /// A parameter of the module itself.
    Parameter(&'a Parameter),
    /// A buffer of the module itself.
    Buffer(&'a Buffer),
    /// The module's training flag.
    Training(&'a Training),
}

/// What a field of a module may be: a module (also in a `Box` or an `Rc`), a [`Parameter`], a [`Buffer`], a
/// [`Training`] flag, or an `Option`, a list or a dictionary of those.
///
/// `None` is a field that is not there. A `Vec`, an array or an `IndexMap` is a child module: see
/// [`ModuleList`](crate::ModuleList) and [`ModuleDict`](crate::ModuleDict). `#[derive(Module)]` calls this for each field;
/// there is no need to implement it, because every [`Module`] has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a module, a Parameter, a Buffer, a Training flag nor a container of those",
    label = "`#[derive(Module)]` cannot walk this field",
    note = "mark the field `#[module(config)]` if it is plain configuration"
)]
pub trait Field {
    /// What PyTorch calls a list of these.
    const LIST: &'static str = "ModuleList";

    /// Hands out what stands under `name`.
    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>));
}

impl<M: Module> Field for M {
    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        each(name, Member::Module(self));
    }
}

impl Field for Parameter {
    const LIST: &'static str = "ParameterList";

    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        each(name, Member::Parameter(self));
    }
}

impl Field for Buffer {
    const LIST: &'static str = "BufferList";

    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        each(name, Member::Buffer(self));
    }
}

impl Field for Training {
    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        each(name, Member::Training(self));
    }
}

impl<T: Field> Field for Option<T> {
    fn visit_field<'a>(&'a self, name: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        if let Some(field) = self {
            field.visit_field(name, each);
        }
    }
}

/// The module in the box; the box itself does not show.
impl<M: Module + ?Sized> Module for Box<M> {
    fn type_name(&self) -> &'static str {
        (**self).type_name()
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        (**self).visit(each);
    }

    fn extra_repr(&self) -> String {
        (**self).extra_repr()
    }

    fn target(&self) -> Option<&dyn Module> {
        Some((**self).as_module())
    }
}

impl<F: Forward + ?Sized> Forward for Box<F> {
    fn forward(&self, input: &Var) -> Var {
        (**self).forward(input)
    }
}

/// A module shared by two owners: its parameters are tied.
impl<M: Module + ?Sized> Module for Rc<M> {
    fn type_name(&self) -> &'static str {
        (**self).type_name()
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        (**self).visit(each);
    }

    fn extra_repr(&self) -> String {
        (**self).extra_repr()
    }

    fn target(&self) -> Option<&dyn Module> {
        Some((**self).as_module())
    }
}

impl<F: Forward + ?Sized> Forward for Rc<F> {
    fn forward(&self, input: &Var) -> Var {
        (**self).forward(input)
    }
}
