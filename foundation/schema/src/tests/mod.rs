mod changes;
mod composed;
mod payloads;
mod soundness;
mod table;
