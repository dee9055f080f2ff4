//! The derive macro behind `nn::Module`. Use it through `nn`, which documents it beside the trait.

mod hints;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Field, Index, Path, Result, parse_macro_input, spanned::Spanned};

/// Implements `nn::Module` (and `Display`, the printed tree) for a struct by walking its fields in declaration order.
///
/// On a field, `#[module(config)]` marks plain configuration, which no walk visits. On the struct,
/// `#[module(repr = path)]` names a function `fn(&Self) -> String` whose result stands between the parentheses of
/// the printed tree.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "Module is derived for structs; an enum or union writes `impl nn::Module` by hand",
        ));
    };
    let mut visits = Vec::new();
    let mut problems: Option<Error> = None;
    for (position, field) in data.fields.iter().enumerate() {
        match visit(position, field) {
            Ok(visit) => visits.push(visit),
            Err(problem) => match &mut problems {
                Some(problems) => problems.combine(problem),
                None => problems = Some(problem),
            },
        }
    }
    if let Some(problems) = problems {
        return Err(problems);
    }
    let repr = repr_function(input)?.map(|path| {
        quote! {
            fn extra_repr(&self) -> ::std::string::String {
                #path(self)
            }
        }
    });

    let ident = &input.ident;
    let name = ident.to_string();
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::nn::Module for #ident #type_generics #where_clause {
            fn type_name(&self) -> &'static str {
                #name
            }

            #[allow(unused_variables)]
            fn visit<'module>(&'module self, each: &mut dyn FnMut(&str, ::nn::Member<'module>)) {
                #(#visits)*
            }

            #repr
        }

        #[automatically_derived]
        impl #impl_generics ::std::fmt::Display for #ident #type_generics #where_clause {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(::nn::AsModule::as_module(self), f)
            }
        }
    })
}

/// The walk over one field: nothing for configuration, otherwise a call whose span is the field's type, so that a type
/// which is no `nn::Field` is reported at that field.
fn visit(position: usize, field: &Field) -> Result<Tokens> {
    if is_config(field)? {
        return Ok(Tokens::new());
    }
    let (access, name) = match &field.ident {
        Some(ident) => {
            let name = ident.to_string();
            (quote!(#ident), name.trim_start_matches("r#").to_owned())
        }
        None => {
            let index = Index::from(position);
            (quote!(#index), position.to_string())
        }
    };
    if let Some(hint) = hints::hint(&field.ty) {
        return Err(Error::new(field.ty.span(), format!("field `{name}` {hint}")));
    }
    Ok(quote_spanned! { field.ty.span() => ::nn::Field::visit_field(&self.#access, #name, each); })
}

fn is_config(field: &Field) -> Result<bool> {
    let mut config = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("config") {
                config = true;
                return Ok(());
            }
            Err(meta.error("unknown mark of a module's field; the one there is: #[module(config)]"))
        })?;
    }
    Ok(config)
}

fn repr_function(input: &DeriveInput) -> Result<Option<Path>> {
    let mut function = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("repr") {
                function = Some(meta.value()?.parse()?);
                return Ok(());
            }
            Err(meta.error("unknown option of a module; the one there is: #[module(repr = function)]"))
        })?;
    }
    Ok(function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn problems(input: DeriveInput) -> Vec<String> {
        match expand(&input) {
            Ok(_) => Vec::new(),
            Err(error) => error.into_iter().map(|e| e.to_string()).collect(),
        }
    }

    #[test]
    fn every_field_that_cannot_be_walked_is_named_at_once() {
        let found = problems(parse_quote! {
            struct Block {
                linear: Linear,
                heads: usize,
                #[module(config)]
                eps: f64,
                mask: Option<Tensor>,
                names: Vec<String>,
                scale: autograd::Var,
            }
        });
        assert_eq!(
            found,
            [
                "field `heads` is a `usize`, which is configuration: mark it `#[module(config)]`",
                "field `mask` is a `Tensor`, which no module can own bare: make it a `Parameter` (trained and saved) or a \
                 `Buffer` (saved), or mark it `#[module(config)]`",
                "field `names` is a `String`, which is configuration: mark it `#[module(config)]`",
                "field `scale` is a `Var`, which no module can own bare: make it a `Parameter` (trained and saved) or a \
                 `Buffer` (saved), or mark it `#[module(config)]`",
            ]
        );
    }

    #[test]
    fn tuple_fields_have_their_position_as_name() {
        let found = problems(parse_quote! { struct Pair(Linear, (f32, f32)); });
        assert_eq!(found, ["field `1` is a tuple, which is configuration: mark it `#[module(config)]`"]);
    }

    #[test]
    fn containers_say_what_in_them_or_about_them_is_wrong() {
        let found = problems(parse_quote! {
            struct Heads {
                all: ModuleDict<Tensor>,
                sizes: ModuleList<usize>,
                by_name: std::collections::HashMap<String, Linear>,
            }
        });
        assert_eq!(
            found,
            [
                "field `all` is a `Tensor`, which no module can own bare: make it a `Parameter` (trained and saved) or a \
                 `Buffer` (saved), or mark it `#[module(config)]`",
                "field `sizes` is a `usize`, which is configuration: mark it `#[module(config)]`",
                "field `by_name` is a `HashMap`; a dictionary of modules or parameters is a `ModuleDict`, whose order is that \
                 of insertion; mark it `#[module(config)]` if it is plain configuration",
            ]
        );
    }

    #[test]
    fn other_shapes_and_marks_are_refused() {
        let found = problems(parse_quote! { enum Norm { None } });
        assert_eq!(found, ["Module is derived for structs; an enum or union writes `impl nn::Module` by hand"]);
        let found = problems(parse_quote! { struct Block { #[module(skip)] heads: usize } });
        assert_eq!(found, ["unknown mark of a module's field; the one there is: #[module(config)]"]);
        let found = problems(parse_quote! { #[module(name = f)] struct Block { linear: Linear } });
        assert_eq!(found, ["unknown option of a module; the one there is: #[module(repr = function)]"]);
    }

    #[test]
    fn what_may_be_a_module_passes() {
        let found = problems(parse_quote! {
            struct Block<F> {
                a: Vec<Box<dyn Forward>>,
                b: [Linear; 2],
                c: Option<Rc<Block>>,
                d: F,
                e: IndexMap<String, Parameter>,
            }
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
