package caddymodule

import (
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// What an operator is woken by is ERROR, and what happens at every page is DEBUG.
func TestLevelsFitWhatHappened(t *testing.T) {
	refused := func(reason casauth.Reason, person bool) casauth.Decision {
		return casauth.Decision{Action: casauth.Refuse, Person: person, Err: &casauth.Error{Reason: reason}}
	}
	for _, test := range []struct {
		d    casauth.Decision
		want zapcore.Level
	}{
		{casauth.Decision{Event: casauth.TicketIssued}, zapcore.DebugLevel},
		{casauth.Decision{Event: casauth.TicketValidated}, zapcore.InfoLevel},
		{casauth.Decision{Event: casauth.LoginStarted}, zapcore.DebugLevel},
		{casauth.Decision{Event: casauth.LoggedIn}, zapcore.InfoLevel},
		{refused(casauth.CASUnavailable, true), zapcore.ErrorLevel},
		{refused(casauth.CASUnreadable, false), zapcore.ErrorLevel},
		{refused(casauth.StorageUnavailable, false), zapcore.ErrorLevel},
		{refused(casauth.SessionRequired, false), zapcore.DebugLevel},
		{refused(casauth.SessionRequired, true), zapcore.InfoLevel},
		{refused(casauth.ProxyTicket, true), zapcore.WarnLevel},
	} {
		if got, message := weigh(&test.d); got != test.want {
			t.Errorf("%q is told at %s, want %s", message, got, test.want)
		}
	}
}
