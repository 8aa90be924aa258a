package casauth

import (
	"testing"
	"testing/synctest"
	"time"
)

// A store that comes back empty, as a Redis without persistence does, must not
// leave the nodes with a key each: people would log in again at every change of
// node, and no login begun at one would end at another.
func TestNodesAgreeOnAKeyAfterTheStoreLostItsData(t *testing.T) {
	lose := func(t *testing.T, store *faulty) {
		if err := store.Delete(t.Context(), "pronote_cas"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recheck)
	}
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a, b := node(t, store, lifetimes), node(t, store, lifetimes)
		expect(t, b, open(t, a, "one", "ST-1"), nil)

		lose(t, store) // who remembers the key puts it back
		expect(t, b, open(t, a, "two", "ST-2"), nil)
		expect(t, node(t, store, lifetimes), open(t, b, "three", "ST-3"), nil)

		lose(t, store) // and who comes too late takes the one that is there
		c := node(t, store, lifetimes)
		open(t, c, "four", "ST-4")
		expect(t, c, open(t, a, "five", "ST-5"), nil)
		expect(t, a, open(t, c, "six", "ST-6"), nil)
		expect(t, a, open(t, b, "seven", "ST-7"), nil)
	})
}
