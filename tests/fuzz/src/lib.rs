//! Answers that no server should give and bodies that no client should send, made from ordinary ones: reproducible, guided by what each input
//! newly did, and by the edges it newly took where the compiler counts them (see `README.md`).

mod backend;
pub mod corpus;
pub mod coverage;
pub mod fuzzer;
pub mod mutate;
#[path = "../../properties/oracle.rs"]
pub mod oracle;
pub mod targets;
