package state

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFlagComesBeforeEnvironment(t *testing.T) {
	folder := realTempDir(t)
	t.Setenv(EnvironmentVariable, filepath.Join(folder, "environment"))
	for flag, want := range map[string]string{
		"":                             "environment",
		filepath.Join(folder, "given"): "given",
	} {
		dir, err := Resolve(flag)
		if err != nil {
			t.Fatal(err)
		}
		if dir.Path() != filepath.Join(folder, want) {
			t.Errorf("flag %q gives %s", flag, dir.Path())
		}
	}
}

func TestTwoSpellingsAreOneCluster(t *testing.T) {
	folder := realTempDir(t)
	link := filepath.Join(folder, "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	// The cluster's folder itself does not exist yet.
	direct, linked := resolve(t, filepath.Join(folder, "a", "b")), resolve(t, filepath.Join(link, "a", "b"))
	if direct != linked || direct.ID() != linked.ID() {
		t.Errorf("%s and %s", direct.Path(), linked.Path())
	}
	if other := resolve(t, filepath.Join(folder, "c")); other.ID() == direct.ID() {
		t.Error("two folders share an identity")
	}
}

func TestPathsOnTheNodeLieBelowItsVar(t *testing.T) {
	dir := resolve(t, realTempDir(t))
	if got, want := dir.OnHost("/var/lib/etcd"), filepath.Join(dir.Path(), "var/lib/etcd"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("a path elsewhere was translated")
		}
	}()
	dir.OnHost("/etc/passwd")
}

func TestRemoveSparesOtherFiles(t *testing.T) {
	dir := resolve(t, filepath.Join(realTempDir(t), "cluster"))
	create(t, dir)
	if err := dir.SaveSettings(Settings{Mode: Full, Port: 1}); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir.Path(), "other")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir.Path())
	if err != nil || len(entries) != 1 || entries[0].Name() != "other" {
		t.Errorf("left: %v (%v)", entries, err)
	}
	if err := dir.Create(); err == nil {
		t.Error("a folder with other files was accepted")
	}
}

func TestSettingsSurvive(t *testing.T) {
	dir := resolve(t, filepath.Join(realTempDir(t), "cluster"))
	create(t, dir)
	if settings, err := dir.LoadSettings(); settings != nil || err != nil {
		t.Errorf("before saving: %v, %v", settings, err)
	}
	want := Settings{Mode: APIOnly, Port: 4711}
	if err := dir.SaveSettings(want); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.LoadSettings(); err != nil || *got != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLockExcludesAndSurvivesRemoval(t *testing.T) {
	dir := resolve(t, filepath.Join(realTempDir(t), "cluster"))
	create(t, dir)
	first, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan *Lock)
	go func() {
		lock, err := dir.Lock()
		if err != nil {
			t.Error(err)
		}
		second <- lock
	}()
	select {
	case <-second:
		t.Fatal("two hold the lock")
	case <-time.After(50 * time.Millisecond):
	}
	// The waiting one must not be content with the file that was removed.
	if err := os.Remove(filepath.Join(dir.Path(), lockName)); err != nil {
		t.Fatal(err)
	}
	first.Release()
	lock := <-second
	defer lock.Release()
	if !dir.Exists() {
		t.Error("a lock is held on a file that is gone")
	}
}

// create makes the folder with its lock file, as a command does.
func create(t *testing.T, dir Dir) {
	t.Helper()
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
}

func resolve(t *testing.T, path string) Dir {
	t.Helper()
	dir, err := Resolve(path)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func realTempDir(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
