package casauth_test

import (
	"testing"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/storetest"
)

func TestMemoryStore(t *testing.T) { storetest.Run(t, new(casauth.MemoryStore)) }

func TestGuardedStore(t *testing.T) { storetest.Run(t, casauth.Guard(new(casauth.MemoryStore))) }
