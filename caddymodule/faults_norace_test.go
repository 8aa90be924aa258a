//go:build !race

package caddymodule

// underRace says that everything takes several times as long and as much memory.
const underRace = false
