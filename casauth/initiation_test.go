package casauth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestInitiationKeepsTabsApart(t *testing.T) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	var i initiation
	i.begin(now, "/eleve.html")
	i.begin(now, "/eleve.html")
	i.begin(now, "/parent.html?a=1&b=2")
	i = openInitiation(secret, i.seal(secret), now.Add(initiationLife-time.Second))
	for n, step := range []struct {
		target, want string
		ok           bool
	}{
		{"/eleve.html", "/eleve.html", true},
		{"/eleve.html", "/eleve.html", true}, // the second tab on the same page
		{"/eleve.html", "", false},           // spent
		{"/direction.html", "", false},       // never set out for
		{"/parent.html?a=1", "", false},
		{"/parent.html?b=2&a=1", "/parent.html?a=1&b=2", true}, // sorted by the server on the way: as set out
	} {
		if got, ok := i.take("https://pronote.example.fr", step.target); got != step.want || ok != step.ok {
			t.Errorf("step %d: take(%q) = %q, %v, want %q, %v", n, step.target, got, ok, step.want, step.ok)
		}
	}
}

func TestInitiationIsForgottenAfterTenMinutesAndByAnotherKey(t *testing.T) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	var i initiation
	i.begin(now, "/eleve.html")
	i.again(now)
	value := i.seal(secret)
	if late := openInitiation(secret, value, now.Add(initiationLife)); !late.empty() {
		t.Errorf("after %s it still holds %+v", initiationLife, late)
	}
	if soon := openInitiation(secret, value, now.Add(roundWindow)); len(soon.rounds) != 0 || len(soon.attempts) != 1 {
		t.Errorf("after %s it holds %+v, want the attempt and no round", roundWindow, soon)
	}
	if other := openInitiation(&[32]byte{1}, value, now); !other.empty() {
		t.Error("another site's key opens it")
	}
	for n := range value {
		changed := []byte(value)
		changed[n] ^= 1
		if forged := openInitiation(secret, string(changed), now); !forged.empty() {
			t.Fatalf("a cookie changed at byte %d is believed", n)
		}
	}
}

// A cookie that grew with every tab would in the end be refused by the browser,
// and nobody could log in any more.
func TestInitiationCookieNeverExceedsOneKilobyte(t *testing.T) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	for _, length := range []int{1, 40, 299, 300, 301, 5000} {
		var i initiation
		for n := range 100 {
			i.begin(now, fmt.Sprintf("/%0*d", length, n))
			i.again(now)
			if value := i.seal(secret); len(value) > 950 {
				t.Fatalf("targets of %d bytes, %d tabs: the value has %d bytes", length, n+1, len(value))
			}
		}
		latest := fmt.Sprintf("/%0*d", length, 99)
		if got, ok := i.take("https://pronote.example.fr", latest); !ok || got != latest {
			t.Errorf("targets of %d bytes: the latest tab is forgotten", length)
		}
	}
}

// What is too long to keep is told apart all the same: else a ticket for any long
// address could be planted.
func TestALongTargetIsTheOneThatWasSetOutFor(t *testing.T) {
	const origin = "https://pronote.example.fr"
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	long := "/eleve.html?a=" + strings.Repeat("a", maxTarget)
	var i initiation
	i.begin(now, long)
	i.begin(now, "/parent.html") // what comes after the sum is read as well
	i = openInitiation(secret, i.seal(secret), now)
	for n, step := range []struct {
		target string
		ok     bool
	}{{long[:len(long)-1] + "b", false}, {"/eleve.html", false}, {long, true}, {long, false}, {"/parent.html", true}} {
		got, ok := i.take(origin, step.target)
		if ok != step.ok || ok && got != step.target {
			t.Errorf("step %d: take(%q) = %q, %v", n, step.target, got, ok)
		}
	}
	if got, ok := i.takeAny("/"); ok || got != "" {
		t.Errorf("nothing was set out for, and a fixed service leads to %q", got)
	}
}

// The log follows one browser by it, and never two as one.
func TestALoginKeepsItsNameInTheLog(t *testing.T) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	var i, other initiation
	i.begin(now, "/eleve.html")
	other.begin(now, "/eleve.html")
	name := i.trip()
	i.begin(now, "/parent.html")
	if i = openInitiation(secret, i.seal(secret), now); i.trip() != name || other.trip() == name {
		t.Errorf("%s became %s, another browser is %s", name, i.trip(), other.trip())
	}
}

func TestThreeUselessTicketsWithinAMinuteAreTooMany(t *testing.T) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	var i initiation
	for n, step := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {10 * time.Second, false}, {50 * time.Second, false}, {5 * time.Second, true}} {
		now = now.Add(step.after)
		i = openInitiation(secret, i.seal(secret), now)
		if got := i.again(now); got != step.want {
			t.Errorf("ticket %d: again = %v, want %v", n+1, got, step.want)
		}
	}
}

func FuzzOpenInitiation(f *testing.F) {
	secret, now := new([32]byte), time.Unix(1_800_000_000, 0)
	var i initiation
	i.begin(now, "/eleve.html")
	i.begin(now, strings.Repeat("/long", 100))
	f.Add(i.seal(secret), i.encode())
	f.Fuzz(func(t *testing.T, value string, data []byte) {
		openInitiation(secret, value, now)
		// and what only we could have signed
		signed := cookieEncoding.EncodeToString(append(data[:len(data):len(data)], initiationMAC(secret, data)...))
		read := openInitiation(secret, signed, now)
		if !read.empty() && len(read.encode()) > len(data) {
			t.Errorf("read more than there is: %+v", read)
		}
	})
}
