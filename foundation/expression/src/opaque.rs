//! Values that only functions of ours look into: a pattern, a budget.

/// Makes `$value`, which can be cloned, a value of the type `$type`.
macro_rules! opaque {
    ($value:ty, $type:expr) => {
        impl cel::common::value::Val for $value {
            fn get_type(&self) -> &cel::common::types::Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static cel::common::types::Type {
                static OWN: cel::common::types::Type = $type;
                &OWN
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn cel::common::value::Val + 'v>
            where
                Self: 'v,
            {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn std::any::Any> {
                Some(self)
            }
        }

        impl cel::common::value::StaticVal for $value {}
    };
}
pub(crate) use opaque;
