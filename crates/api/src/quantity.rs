//! Resource quantities as the core API writes them, which a derived schema cannot express.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Quantities by resource name, as manifests write them: `cpu: 1` and `cpu: 500m` are both right.
pub(crate) type Quantities = BTreeMap<String, Amount>;

/// One quantity. The core API's own type for "integer or string" holds 32 bits, and 4 GiB in bytes needs more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A whole number.
    Number(i64),
    /// A number with a suffix, for instance `500m` or `2Gi`.
    Text(String),
}

impl Amount {
    /// The same as the core API's type holds it.
    #[must_use]
    pub fn to_core(&self) -> Quantity {
        Quantity(match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        })
    }
}

/// The core API's own pattern for a quantity.
const PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// The schema that the core API gives to one quantity.
pub(crate) fn amount_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "pattern": PATTERN, "x-kubernetes-int-or-string": true })
}

/// The schema that the core API gives to its own resource lists.
pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": amount_schema(generator),
    })
}

/// The same quantities as the core API's types hold them.
pub(crate) fn to_core(quantities: &Quantities) -> BTreeMap<String, Quantity> {
    quantities.iter().map(|(name, amount)| (name.clone(), amount.to_core())).collect()
}
