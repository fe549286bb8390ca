//! Every row of the mission as a test.
