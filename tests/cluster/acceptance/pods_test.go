package acceptance

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const testImage = "drover.local/acceptance:1"

// server is a pod that the strictest Pod Security admits. It serves what it
// wrote to its claim.
const server = `
apiVersion: v1
kind: Namespace
metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
# One of its own: the default one comes by itself, but perhaps after the pod.
apiVersion: v1
kind: ServiceAccount
metadata: {name: server, namespace: strict}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: strict}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: strict}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: strict, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 0
  serviceAccountName: server
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: server
    image: ` + testImage + `
    command: [sh, -c, "echo written > /data/index.html && echo serving && exec httpd -f -p 8080 -h /data"]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`

const client = `
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: client, image: ` + testImage + `, command: [sleep, "3600"]}]
`

// TestPods uses one cluster for everything that pods can do.
func TestPods(t *testing.T) {
	before := takeTraces(t)
	c := newCluster(t)
	// Four seconds on a machine with nothing else to do.
	if took := c.up(); took > 30*time.Second {
		t.Errorf("up took %s", took)
	}
	c.loadTestImage()
	c.apply(server)
	c.apply(client)
	c.run("kubectl", "wait", "--for=condition=Ready", "pod/client", "--timeout=30s")
	c.run("kubectl", "wait", "--for=condition=Ready", "pod/server", "-n", "strict", "--timeout=30s")

	testSecurity(t, c)
	testNetwork(t, c)
	testStreams(t, c)
	t.Run("a deleted claim's folder goes", func(t *testing.T) { testReclaim(t, c) })

	c.run("down")
	before.mustBeAllThatIs(t, c)
}

func TestTwoClustersSideBySide(t *testing.T) {
	first, second := newCluster(t), newCluster(t)
	ups := make(chan error, 2)
	for _, c := range []*cluster{first, second} {
		go func() {
			_, err := c.try("up")
			ups <- err
		}()
	}
	for range cap(ups) {
		if err := <-ups; err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*cluster{first, second} {
		c.loadTestImage()
		c.apply(client)
	}
	for _, c := range []*cluster{first, second} {
		c.run("kubectl", "wait", "--for=condition=Ready", "pod/client", "--timeout=30s")
	}
	first.run("down")
	second.expect(t, "alive", "kubectl", "exec", "client", "--", "echo", "alive")
	second.run("status")
}

func (c *cluster) loadTestImage() {
	c.t.Helper()
	archive := filepath.Join(c.t.TempDir(), "image.tar")
	c.run("image", "--name", testImage, "--uid", "1000", "-o", archive)
	c.run("load", archive)
}

func (c *cluster) expect(t *testing.T, want string, args ...string) {
	t.Helper()
	if got, err := c.try(args...); err != nil || got != want {
		t.Errorf("%s: got %q (%v), want %q", strings.Join(args, " "), got, err, want)
	}
}

func testSecurity(t *testing.T, c *cluster) {
	t.Run("restricted pod runs under seccomp", func(t *testing.T) {
		c.expect(t, "2", "kubectl", "exec", "-n", "strict", "server", "--", "awk", "/^Seccomp:/{print $2}", "/proc/self/status")
	})
	t.Run("an unprepared pod is refused", func(t *testing.T) {
		_, err := c.try("kubectl", "run", "-n", "strict", "careless", "--image="+testImage)
		if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the node may not list secrets", func(t *testing.T) {
		out, err := c.try("kubectl", "auth", "can-i", "list", "secrets", "-n", "strict",
			"--as=system:node:drover", "--as-group=system:nodes", "--as-group=system:authenticated")
		if err == nil || !strings.HasPrefix(out, "no") {
			t.Errorf("got %q (%v)", out, err)
		}
	})
}

func testNetwork(t *testing.T, c *cluster) {
	t.Run("another pod reaches the service by name", func(t *testing.T) {
		c.eventually("written", "kubectl", "exec", "client", "--", "wget", "-qO-", "http://web.strict")
	})
	t.Run("a pod reaches itself through its service", func(t *testing.T) {
		c.expect(t, "written", "kubectl", "exec", "-n", "strict", "server", "--", "wget", "-qO-", "http://web")
	})
	t.Run("the cluster's network reaches the pod", func(t *testing.T) {
		address := c.run("kubectl", "get", "pod", "server", "-n", "strict", "-o", "jsonpath={.status.podIP}")
		c.expect(t, "written", "exec", "--", "busybox", "wget", "-qO-", "http://"+address+":8080")
	})
	t.Run("names outside do not exist", func(t *testing.T) {
		if out, err := c.try("kubectl", "exec", "client", "--", "nslookup", "example.org."); !strings.Contains(out, "NXDOMAIN") {
			t.Errorf("got %q (%v)", out, err)
		}
	})
}

func testStreams(t *testing.T, c *cluster) {
	t.Run("logs", func(t *testing.T) {
		c.expect(t, "serving", "kubectl", "logs", "-n", "strict", "server")
	})
	t.Run("exec passes input and output through", func(t *testing.T) {
		cmd := c.command("kubectl", "exec", "-i", "client", "--", "tr", "a-z", "A-Z")
		cmd.Stdin = strings.NewReader("loud")
		if out, err := output(cmd); err != nil || out != "LOUD" {
			t.Errorf("got %q (%v)", out, err)
		}
	})
	t.Run("cp", func(t *testing.T) {
		local := filepath.Join(t.TempDir(), "copy")
		c.run("kubectl", "cp", "strict/server:/data/index.html", local)
		if data, err := os.ReadFile(local); err != nil || string(data) != "written\n" {
			t.Errorf("got %q (%v)", data, err)
		}
	})
	t.Run("port-forward", func(t *testing.T) { testPortForward(t, c) })
}

func testPortForward(t *testing.T, c *cluster) {
	cmd := c.command("kubectl", "port-forward", "-n", "strict", "service/web", ":80")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	// Forwarding from 127.0.0.1:PORT -> 8080
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(strings.TrimPrefix(line, "Forwarding from "))[0]
	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "written\n" {
		t.Errorf("got %q (%v)", body, err)
	}
}

func testReclaim(t *testing.T, c *cluster) {
	volumes := filepath.Join(c.state, "var/lib/drover/volumes")
	if entries, err := os.ReadDir(volumes); err != nil || len(entries) != 1 {
		t.Fatalf("found %v (%v), want one volume", entries, err)
	}
	c.run("kubectl", "delete", "-n", "strict", "pod/server", "pvc/data", "--timeout=30s")
	c.eventually("", "kubectl", "get", "pv", "-o", "name")
	if entries, err := os.ReadDir(volumes); err != nil || len(entries) != 0 {
		t.Errorf("found %v (%v), want none", entries, err)
	}
}
