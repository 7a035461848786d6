//! Who may do what.

/// What the configuration says about access.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Keys that may upload; empty: uploads are open.
    pub upload_keys: Vec<String>,
    /// Whether uploads may be open off loopback.
    pub open_uploads: bool,
    /// Guards operator pages and calls; empty: free loopback only.
    pub operator_key: String,
    /// The first signs URLs, all verify.
    pub sign_keys: Vec<String>,
    /// Which image URLs need a signature.
    pub require_signature: RequireSignature,
    /// Origins that may read answers; `*` is all.
    pub cors_origins: Vec<String>,
}

/// Which image URLs need a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequireSignature {
    /// None.
    #[default]
    Off,
    /// All but `full` in the stored format.
    Variants,
    /// All.
    All,
}
