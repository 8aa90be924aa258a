package casauth

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Logout messages are signed by nobody, so anybody can send them by the thousand. On
// a storage across a network each takes its time, and people who work must not stand
// in that queue.
func TestAFloodOfLogoutMessagesWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		s := node(t, store, lifetimes)
		value := open(t, s, "honest", "ST-honest")
		store.delay.Store(int64(20 * time.Millisecond))
		time.Sleep(recheck)
		var flood sync.WaitGroup
		for n := range 2000 {
			flood.Go(func() {
				if ended, err := s.EndTicket(t.Context(), fmt.Sprint("ST-made-up-", n)); ended != "" || err != nil {
					t.Errorf("a made-up logout ended %q, %v", ended, err)
				}
			})
		}
		synctest.Wait()
		begun := time.Now()
		expect(t, s, value, nil)
		open(t, s, "another", "ST-another")
		if took := time.Since(begun); took > 200*time.Millisecond {
			t.Errorf("a look-up and a login took %s", took)
		}
		flood.Wait()
		store.delay.Store(0)
	})
}
