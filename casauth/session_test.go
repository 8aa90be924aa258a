package casauth

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

func TestOnlyOurOwnCookieOpensASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		other := lifetimes
		other.Site = "other"
		expect(t, node(t, store, other), value, ErrNoSession) // another site's cookie
		expect(t, a, "", ErrNoSession)
		expect(t, a, value+"A", ErrNoSession)
		expect(t, a, strings.Repeat("A", len(value)), ErrNoSession)
		for n := range value {
			for _, c := range []byte{'A', 'B', '_', '=', ' '} {
				forged := value[:n] + string(c) + value[n+1:]
				if forged != value {
					expect(t, a, forged, ErrNoSession)
				}
			}
		}
		expect(t, a, value, nil)
	})
}

func TestMadeUpCookiesNeverReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		open(t, a, "cdurand", "ST-1")
		before := store.loads.Load()
		for n := range 1000 {
			expect(t, a, newCookie(&[32]byte{1}, 1<<31, keyOfTicket("site", fmt.Sprint(n))), ErrNoSession)
		}
		if asked := store.loads.Load() - before; asked != 0 {
			t.Errorf("a thousand made-up cookies asked the store %d times", asked)
		}
	})
}

func TestACookieThatWasChangedNeverReachesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(faulty)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		raw, err := cookieEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		before := store.loads.Load()
		for n := range raw {
			raw[n] ^= 1
			expect(t, a, cookieEncoding.EncodeToString(raw), ErrNoSession)
			raw[n] ^= 1
		}
		if asked := store.loads.Load() - before; asked != 0 {
			t.Errorf("the store was asked %d times", asked)
		}
	})
}

// The ticket went through an address: who has seen it must not know the cookie.
func TestOneTicketTwiceGivesTwoCookiesAndTheLaterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := node(t, new(faulty), lifetimes)
		first := open(t, a, "cdurand", "ST-1")
		session := expect(t, a, first, nil)
		second := open(t, a, "cdurand", "ST-1")
		one, _ := decodeCookie(first)
		two, _ := decodeCookie(second)
		if [32]byte(one.raw[secretAt:macAt]) == [32]byte(two.raw[secretAt:macAt]) {
			t.Error("nothing in the cookie is secret")
		}
		if !session.ended.Load() {
			t.Error("the first session lives on")
		}
		expect(t, a, first, ErrNoSession)
		expect(t, a, second, nil)
	})
}

func TestTheStoreHoldsNoCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(MemoryStore)
		a := node(t, store, lifetimes)
		value := open(t, a, "cdurand", "ST-1")
		raw, _ := base64.RawURLEncoding.DecodeString(value)
		keys, err := store.List(t.Context(), "pronote_cas", true)
		if len(keys) < 2 || err != nil {
			t.Fatalf("the store holds %q, %v", keys, err)
		}
		for _, key := range keys {
			stored, err := store.Load(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			for what, secret := range map[string]string{"cookie": value, "secret": string(raw[secretAt:macAt]), "ticket": "ST-1"} {
				if strings.Contains(key+string(stored), secret) {
					t.Errorf("%s holds the %s", key, what)
				}
			}
		}
	})
}
