//! From the options to the implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Result};

use crate::options::{Key, Options};

/// The implementation of `dozen_messaging::Typed` for `input`.
pub(crate) fn message(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "a message has no parameters: one name and version stand for one shape",
        ));
    }
    let Options { name, version, from, key } = Options::read(input)?;
    let this = &input.ident;
    let key = key.map(|key| key_method(&key));
    let older = from.as_ref().map(|from| {
        quote! {
            if version < <Self as ::dozen_messaging::Typed>::VERSION {
                return <#from as ::dozen_messaging::Typed>::decode_version(version, data)
                    .map(<Self as ::core::convert::From<#from>>::from);
            }
        }
    });
    let chain = from.as_ref().map(|from| {
        // Spanned at the type, so that the compiler points at the `from` that does not fit.
        quote_spanned! {from.span()=>
            const _: () = {
                const OLD: &[u8] = <#from as ::dozen_messaging::Typed>::NAME.as_bytes();
                const NEW: &[u8] = <#this as ::dozen_messaging::Typed>::NAME.as_bytes();
                ::core::assert!(
                    <#from as ::dozen_messaging::Typed>::VERSION < <#this as ::dozen_messaging::Typed>::VERSION,
                    "`from` must name a type of an older version"
                );
                ::core::assert!(OLD.len() == NEW.len(), "`from` must name a type of the same message name");
                let mut at = 0;
                while at < NEW.len() {
                    ::core::assert!(OLD[at] == NEW[at], "`from` must name a type of the same message name");
                    at += 1;
                }
            };
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl ::dozen_messaging::Typed for #this {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;

            #key

            fn decode_version(
                version: u32,
                data: &[u8],
            ) -> ::core::result::Result<Self, ::dozen_messaging::DecodeError> {
                #older
                if version != <Self as ::dozen_messaging::Typed>::VERSION {
                    return ::core::result::Result::Err(::dozen_messaging::DecodeError::Version {
                        name: <Self as ::dozen_messaging::Typed>::NAME,
                        found: version,
                        known: <Self as ::dozen_messaging::Typed>::VERSION,
                    });
                }
                ::dozen_messaging::read(data)
            }
        }
        #chain
    })
}

fn key_method(Key { field, optional }: &Key) -> TokenStream {
    let text = if *optional {
        quote_spanned! {field.span()=>
            ::core::option::Option::map(
                ::core::option::Option::as_ref(&self.#field),
                ::std::string::ToString::to_string,
            )
        }
    } else {
        quote_spanned! {field.span()=>
            ::core::option::Option::Some(::std::string::ToString::to_string(&self.#field))
        }
    };
    quote! {
        fn key(&self) -> ::core::option::Option<::std::string::String> {
            #text
        }
    }
}
