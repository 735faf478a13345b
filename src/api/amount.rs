//! Amounts of CPU, memory and storage: `500m`, `2`, `4Gi`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A Kubernetes quantity. A bare number may be written without quotes, as in pods; it is kept as
/// text, so that `2` and `"2"` are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Amount(String);

impl Amount {
    /// As Kubernetes spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a number without unit, to compare two that [are readable](Self::is_readable); 0 for others.
    pub fn as_number(&self) -> f64 {
        const UNITS: [(&str, f64); 15] = [
            ("Ki", 1024.0),
            ("Mi", 1_048_576.0),
            ("Gi", 1_073_741_824.0),
            ("Ti", 1_099_511_627_776.0),
            ("Pi", 1_125_899_906_842_624.0),
            ("Ei", 1_152_921_504_606_846_976.0),
            ("n", 1e-9),
            ("u", 1e-6),
            ("m", 1e-3),
            ("k", 1e3),
            ("M", 1e6),
            ("G", 1e9),
            ("T", 1e12),
            ("P", 1e15),
            ("E", 1e18),
        ];
        let with_unit = UNITS.iter().find_map(|(unit, times)| {
            let number: f64 = self.0.strip_suffix(unit)?.parse().ok()?;
            Some(number * times)
        });
        with_unit.unwrap_or_else(|| self.0.parse().unwrap_or(0.0))
    }

    /// Whether Kubernetes can read it: a number, then `n`, `u`, `m`, `k`, `M`, `G`, `T`, `P`, `E`,
    /// one of `Ki` to `Ei`, or an exponent (`k8s.io/apimachinery/pkg/api/resource`). Negative
    /// amounts are a quantity too, but of nothing that a pod can have.
    pub fn is_readable(&self) -> bool {
        const SUFFIXES: [&str; 16] = [
            "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
        ];
        let text = self.0.strip_prefix('+').unwrap_or(&self.0);
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let exponent = suffix
            .strip_prefix(['e', 'E'])
            .is_some_and(|power| power.parse::<i8>().is_ok());
        number.contains(|c: char| c.is_ascii_digit())
            && number.matches('.').count() <= 1
            && (exponent || SUFFIXES.contains(&suffix))
    }
}

impl From<&str> for Amount {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl de::Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as 500m, 2 or 4Gi")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for text in [
            "2", "500m", "0.5", ".5", "4Gi", "1G", "1e3", "1E3", "1E", "+1Ki", "2e-3",
        ] {
            assert!(Amount::from(text).is_readable(), "{text}");
        }
        for text in [
            "", "4GB", "4gi", "-1", "1.2.3", "Gi", ".", "1 Gi", "1e", "e3", "two",
        ] {
            assert!(!Amount::from(text).is_readable(), "{text}");
        }
    }

    #[test]
    fn a_number_without_quotes_is_the_same_amount() {
        let read = |json| serde_json::from_str::<Amount>(json).map_err(|error| error.to_string());

        assert_eq!(read("2"), Ok(Amount::from("2")));
        assert_eq!(read("2"), read("\"2\""));
        assert!(read("{}").is_err_and(|error| error.contains("such as 500m, 2 or 4Gi")));
    }
}
