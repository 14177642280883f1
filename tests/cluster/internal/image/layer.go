package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is one thing in the layer. A regular file has either a source on the
// host or its content here.
type entry struct {
	header  *tar.Header
	source  string
	content string
}

// layer collects entries by path; what is added later replaces what was there.
type layer map[string]entry

func (s Spec) writeLayer(out io.Writer) error {
	content := layer{}
	content.addBase(s.User)
	if s.Busybox != "" {
		if err := content.addBusybox(s.Busybox, s.Applets); err != nil {
			return err
		}
	}
	for _, file := range s.Files {
		if err := content.addTree(file); err != nil {
			return err
		}
	}
	return content.write(out)
}

// addBase adds the folders that programs expect everywhere, and names for the
// users, without which some programs refuse to work.
func (l layer) addBase(user string) {
	for _, folder := range []string{"bin", "etc", "root", "usr/bin", "var"} {
		l.addFolders(folder)
	}
	l.addFolders("tmp")
	l["tmp"].header.Mode = 0o1777
	users := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
	groups := "root:x:0:\nnogroup:x:65534:\n"
	if user != "" && user != "0" && user != "65534" {
		users += fmt.Sprintf("user:x:%[1]s:%[1]s:user:/tmp:/bin/sh\n", user)
		groups += fmt.Sprintf("user:x:%s:\n", user)
	}
	l.addText("etc/passwd", users)
	l.addText("etc/group", groups)
}

func (l layer) addText(destination, content string) {
	header := newHeader(destination, tar.TypeReg, 0o644)
	header.Size = int64(len(content))
	l[destination] = entry{header: header, content: content}
}

func (l layer) addBusybox(binary string, applets []string) error {
	if err := l.addTree(File{Source: binary, Destination: "/bin/busybox"}); err != nil {
		return err
	}
	for _, applet := range applets {
		if applet != "busybox" {
			l.addLink("bin/"+applet, "/bin/busybox")
		}
	}
	return nil
}

// addTree adds a file, or a folder with everything in it. A link that is named
// itself is followed; a link within a folder is kept.
func (l layer) addTree(file File) error {
	root, err := filepath.EvalSymlinks(file.Source)
	if err != nil {
		return fmt.Errorf("add %s: %w", file.Source, err)
	}
	return filepath.WalkDir(root, func(source string, item fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("add %s: %w", file.Source, err)
		}
		relative, err := filepath.Rel(root, source)
		if err != nil {
			return fmt.Errorf("add %s: %w", file.Source, err)
		}
		return l.addItem(source, inImage(path.Join(file.Destination, filepath.ToSlash(relative))), item)
	})
}

func (l layer) addItem(source, destination string, item fs.DirEntry) error {
	info, err := item.Info()
	if err != nil {
		return fmt.Errorf("add %s: %w", source, err)
	}
	switch {
	case item.IsDir():
		l.addFolders(destination)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return fmt.Errorf("add %s: %w", source, err)
		}
		l.addLink(destination, target)
	case info.Mode().IsRegular():
		l.addFolders(path.Dir(destination))
		header := newHeader(destination, tar.TypeReg, fileMode(info.Mode()))
		header.Size = info.Size()
		l[destination] = entry{header: header, source: source}
	default:
		return fmt.Errorf("add %s: neither a file, a folder nor a link", source)
	}
	return nil
}

func (l layer) addFolders(folder string) {
	for ; folder != "." && folder != ""; folder = path.Dir(folder) {
		if _, exists := l[folder]; !exists {
			l[folder] = entry{header: newHeader(folder+"/", tar.TypeDir, 0o755)}
		}
	}
}

func (l layer) addLink(destination, target string) {
	l.addFolders(path.Dir(destination))
	header := newHeader(destination, tar.TypeSymlink, 0o777)
	header.Linkname = target
	l[destination] = entry{header: header}
}

func (l layer) write(out io.Writer) error {
	archive := tar.NewWriter(out)
	names := make([]string, 0, len(l))
	for name := range l {
		names = append(names, name)
	}
	// Sorted, folders come before what is in them.
	slices.Sort(names)
	for _, name := range names {
		if err := l[name].write(archive); err != nil {
			return fmt.Errorf("add /%s: %w", name, err)
		}
	}
	return archive.Close()
}

func (e entry) write(archive *tar.Writer) error {
	if err := archive.WriteHeader(e.header); err != nil {
		return err
	}
	if e.source == "" {
		_, err := io.WriteString(archive, e.content)
		return err
	}
	file, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}

// newHeader leaves time and owner at zero: they would differ from build to build.
func newHeader(name string, kind byte, mode int64) *tar.Header {
	return &tar.Header{
		Name: name, Typeflag: kind, Mode: mode,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
}

// fileMode keeps only whether a file can be run, since the rest depends on the
// umask of whoever checked it out.
func fileMode(mode fs.FileMode) int64 {
	if mode&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

func inImage(destination string) string {
	return strings.TrimPrefix(path.Clean(destination), "/")
}
