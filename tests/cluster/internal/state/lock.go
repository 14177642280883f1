package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is held by the one command that may change a cluster.
type Lock struct{ file *os.File }

// Lock waits for the state folder's lock.
func (d Dir) Lock() (*Lock, error) {
	path := filepath.Join(d.root, lockName)
	for {
		// Within the loop: a `down` that was waited for removes the folder too.
		if err := os.MkdirAll(d.root, 0o755); err != nil {
			return nil, fmt.Errorf("create state folder: %w", err)
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open lock: %w", err)
		}
		if err := flock(file); err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// A `down` that held the lock before may have removed this very file;
		// then somebody else can hold a lock on its successor.
		if isCurrent(file, path) {
			return &Lock{file: file}, nil
		}
		file.Close()
	}
}

// Release lets the next command proceed.
func (l *Lock) Release() { l.file.Close() }

func flock(file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func isCurrent(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}
