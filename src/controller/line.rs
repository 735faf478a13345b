//! A line in the operator's log about one resource: it always has the fields `namespace` and `name`.

/// A line about one resource, at a level of `tracing`.
macro_rules! line {
    ($level:ident, $of:expr, $($rest:tt)+) => {{
        let of: &kube::runtime::reflector::ObjectRef<crate::api::ChainlinkNode> = $of;
        let namespace = of.namespace.as_deref().unwrap_or_default();
        tracing::$level!(namespace, name = of.name, $($rest)+);
    }};
}
pub(super) use line;

/// A warning that each try would bring anew: it is logged where what was said is new, and rarely while that goes on.
macro_rules! again {
    ($lines:expr, $of:expr, $said:expr $(, $field:ident)*; $text:literal) => {{
        let (lines, said): (&mut crate::cluster::RepeatedLines, &str) = ($lines, $said);
        if let Some(times) = lines.again($text, said, std::time::Instant::now()) {
            $crate::controller::line::line!(warn, $of, $($field,)* said, times, $text);
        }
    }};
}
pub(super) use again;
