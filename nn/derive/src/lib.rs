//! The derive macro behind `nn::Module`. Use it through `nn`, which documents it beside the trait.

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
    let visits = data.fields.iter().enumerate().map(|(position, field)| visit(position, field));
    let visits = visits.collect::<Result<Vec<_>>>()?;
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
