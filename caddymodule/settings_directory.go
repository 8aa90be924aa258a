package caddymodule

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// directoryPlan is where the directory lies and what it goes by.
type directoryPlan struct {
	config    directory.Config
	folder    string // "": beside the sessions
	retention time.Duration
}

// directory settles who is who in PRONOTE.
func (s *settler) directory() {
	in := DirectorySettings{}
	if s.h.Directory != nil {
		in = *s.h.Directory
	}
	plan := &s.people
	plan.config.Identifier = s.gate.Identifier
	if in.Match != nil {
		plan.config.Match = s.choice("directory match", in.Match.Identity, "off", "on") == "on"
	}
	if in.Attributes != nil {
		plan.config.Attributes = directory.Attributes(*in.Attributes)
	}
	if value, ok := s.value("directory file", in.File); ok {
		folder, err := filepath.Abs(value)
		s.fail("directory file", err)
		s.fail("directory file", checkFolder(folder))
		plan.folder = folder
	}
	s.duration("directory retention", in.Retention)
	plan.retention = or(time.Duration(in.Retention), 400*24*time.Hour)
	if plan.retention < directory.MinRetention {
		s.fail("directory retention", directory.ErrRetention)
	}
}

// checkFolder refuses what could not become a folder of ours.
func checkFolder(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is a file: name a folder that the directory has to itself, such as /var/lib/caddy/annuaire (an export of PRONOTE is read with `caddy pronote-cas import`)", folder)
	case err != nil && !os.IsNotExist(err):
		return fmt.Errorf("%s cannot be looked at (%w): name a folder that Caddy may write to", folder, errWithoutPath(err))
	}
	return nil
}

// errWithoutPath is what went wrong, where the path has been named already.
func errWithoutPath(err error) error {
	if failed, ok := err.(*fs.PathError); ok {
		return failed.Err
	}
	return err
}
