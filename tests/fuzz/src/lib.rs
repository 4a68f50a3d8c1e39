//! Answers that no server should give, made from those that servers do give: reproducible, guided by what each input
//! newly did, and by the edges it newly took where the compiler counts them (see `README.md`).

pub mod corpus;
pub mod coverage;
pub mod fuzzer;
pub mod mutate;
#[path = "../../properties/oracle.rs"]
pub mod oracle;
pub mod targets;
