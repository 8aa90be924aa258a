// Package e2e holds the tests that need more than Go: a browser in front of the
// demo, two real CAS servers (testdata/interop), and two nodes on one Redis. Each
// is skipped with a sentence where what it needs is not there; with
// E2E_REQUIRED=1 it fails instead, so that a machine meant to run them cannot pass
// without.
//
// They are a module of their own so that their dependencies are nobody's else.
package e2e
