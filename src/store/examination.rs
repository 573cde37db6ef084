//! What a store reports about itself, for an operator. Facts only: what they mean is judged above.

use std::collections::BTreeMap;

use super::StoreError;

/// What a store reports about itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Examination {
    /// What kind of server or file it is.
    pub kind: &'static str,
    /// What the server reports about itself, by the names it uses; empty when there is no server, or when
    /// it refuses to report.
    pub facts: BTreeMap<String, String>,
    /// Why the server refused to report.
    pub withheld: Option<StoreError>,
    /// How the four operations went on a scratch election, removed since; of a file, whether it can be
    /// used and read. `None` when that was not tried.
    pub trial: Option<Result<(), StoreError>>,
    /// The commands that the server refuses us. Some of them an election can do without.
    pub refused: Vec<(&'static str, StoreError)>,
}
