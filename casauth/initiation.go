package casauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

const (
	initiationLife = 10 * time.Minute
	roundWindow    = time.Minute
	maxRounds      = 3 // logins in a row that end in a useless ticket, before a page says why

	maxInitiation = 640 // bytes before base64 and signature: the cookie stays below 1 KB with its name
	maxTarget     = 300 // bytes of an address that is kept word for word
)

// initiation is what the browser keeps for us while it is away at the CAS
// server: which services it set out for, and how often it came back in vain.
// A ticket for anything else was planted by somebody (login CSRF).
//
// It is signed, not secret: it holds addresses of the browser's own.
type initiation struct {
	nonce    [8]byte // tells browsers apart that set out for the same page at the same moment
	rounds   []int64 // Unix seconds of useless tickets within roundWindow
	attempts []attempt
}

// attempt is one login that the browser set out for.
type attempt struct {
	at     int64    // Unix seconds
	target string   // path and query asked for, less tickets; "" where that is too long to keep
	sum    [12]byte // of target, where it is not kept
}

// begin adds an attempt for target. Two tabs on one page are two attempts: each
// brings a ticket of its own.
func (i *initiation) begin(now time.Time, target string) {
	if i.nonce == [8]byte{} {
		_, _ = rand.Read(i.nonce[:]) // crypto/rand never fails (Go 1.24)
	}
	a := attempt{at: now.Unix(), target: target}
	if len(target) > maxTarget {
		a.target, a.sum = "", sumOf(target)
	}
	i.attempts = append(i.attempts, a)
	for len(i.encode()) > maxInitiation {
		i.attempts = i.attempts[1:]
	}
}

// take spends the attempt for target, on the origin public, and returns it as it
// was set out for.
// The latest counts. Where no attempt is the same to the letter, one that says
// the same is taken: django-cas-server sorts and re-encodes the query when it
// adds the ticket, and validates only what it was given before.
func (i *initiation) take(public, target string) (string, bool) {
	same := func(equal func(attempt) bool) int {
		for n := len(i.attempts) - 1; n >= 0; n-- {
			if equal(i.attempts[n]) {
				return n
			}
		}
		return -1
	}
	n := same(func(a attempt) bool {
		return a.target == target || a.target == "" && a.sum == sumOf(target)
	})
	if n < 0 {
		n = same(func(a attempt) bool { return a.target != "" && address.Same(public+a.target, public+target) })
	}
	if n < 0 {
		return "", false
	}
	return i.remove(n, target), true
}

// takeAny spends the latest attempt, for an ENT that accepts one service only:
// where the browser wanted to go stands nowhere else. other is the answer where
// that address was too long to keep.
func (i *initiation) takeAny(other string) (string, bool) {
	if len(i.attempts) == 0 {
		return "", false
	}
	return i.remove(len(i.attempts)-1, other), true
}

func (i *initiation) remove(n int, unkept string) string {
	target := i.attempts[n].target
	i.attempts = slices.Delete(i.attempts, n, n+1)
	if target == "" {
		return unkept
	}
	return target
}

// again counts a useless ticket and reports whether that was one too many.
func (i *initiation) again(now time.Time) bool {
	i.rounds = append(i.rounds, now.Unix())
	i.rounds = i.rounds[max(0, len(i.rounds)-maxRounds):]
	return len(i.rounds) >= maxRounds
}

func (i *initiation) empty() bool { return len(i.rounds) == 0 && len(i.attempts) == 0 }

// trip names the browser's way through this login in the log. It opens nothing.
func (i *initiation) trip() string {
	sum := sha256.Sum256(append([]byte("trip\x00"), i.nonce[:]...))
	return hex.EncodeToString(sum[:4])
}

func sumOf(target string) (sum [12]byte) {
	whole := sha256.Sum256([]byte(target))
	copy(sum[:], whole[:])
	return sum
}

// The wire form: version, nonce, number of rounds, their times, then per attempt its
// time and either its target's length and bytes or 0 and its sum.
const initiationVersion, initiationHead = 1, 1 + 8 + 1

func (i *initiation) encode() []byte {
	data := append([]byte{initiationVersion}, i.nonce[:]...)
	data = append(data, byte(len(i.rounds)))
	for _, at := range i.rounds {
		data = binary.BigEndian.AppendUint32(data, uint32(at))
	}
	for _, a := range i.attempts {
		data = binary.BigEndian.AppendUint32(data, uint32(a.at))
		data = binary.BigEndian.AppendUint16(data, uint16(len(a.target)))
		if a.target == "" {
			data = append(data, a.sum[:]...)
		} else {
			data = append(data, a.target...)
		}
	}
	return data
}

// seal returns the cookie's value.
func (i *initiation) seal(secret *[32]byte) string {
	data := i.encode()
	return cookieEncoding.EncodeToString(append(data, initiationMAC(secret, data)...))
}

// openInitiation reads a cookie's value. What is not ours, damaged or too old is
// as good as no cookie.
func openInitiation(secret *[32]byte, value string, now time.Time) (i initiation) {
	data, err := cookieEncoding.DecodeString(value)
	if err != nil || len(data) < initiationHead+16 {
		return initiation{}
	}
	data, mac := data[:len(data)-16], data[len(data)-16:]
	if subtle.ConstantTimeCompare(mac, initiationMAC(secret, data)) != 1 || data[0] != initiationVersion {
		return initiation{}
	}
	copy(i.nonce[:], data[1:])
	rounds, data := int(data[initiationHead-1]), data[initiationHead:]
	for ; rounds > 0 && len(data) >= 4; rounds-- {
		if at := int64(binary.BigEndian.Uint32(data)); now.Unix()-at < int64(roundWindow/time.Second) {
			i.rounds = append(i.rounds, at)
		}
		data = data[4:]
	}
	for len(data) >= 6 {
		a := attempt{at: int64(binary.BigEndian.Uint32(data))}
		length := int(binary.BigEndian.Uint16(data[4:]))
		data = data[6:]
		switch {
		case length == 0 && len(data) >= len(a.sum):
			data = data[copy(a.sum[:], data):]
		case length > 0 && len(data) >= length:
			a.target, data = string(data[:length]), data[length:]
		default:
			return initiation{} // signed, yet not whole: never of our making
		}
		if now.Unix()-a.at < int64(initiationLife/time.Second) {
			i.attempts = append(i.attempts, a)
		}
	}
	return i
}

func initiationMAC(secret *[32]byte, data []byte) []byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte("initiation\x00"))
	h.Write(data)
	return h.Sum(nil)[:16]
}
