package forward

import (
	"io"
	"net"
	"testing"
)

// TestHalfClosedConnection is how a client that has sent everything still gets
// its answer.
func TestHalfClosedConnection(t *testing.T) {
	target := listen(t)
	go func() {
		connection, err := target.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		request, _ := io.ReadAll(connection)
		_, _ = connection.Write(append([]byte("you said "), request...))
	}()
	client := dialThrough(t, target.Addr().String())
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "you said hello" {
		t.Errorf("got %q (%v)", answer, err)
	}
}

func TestMissingTargetClosesTheConnection(t *testing.T) {
	gone := listen(t)
	address := gone.Addr().String()
	gone.Close()
	if answer, _ := io.ReadAll(dialThrough(t, address)); len(answer) != 0 {
		t.Errorf("got %q", answer)
	}
}

func dialThrough(t *testing.T, target string) *net.TCPConn {
	t.Helper()
	entrance := listen(t)
	go func() { _ = Serve(entrance, target) }()
	connection, err := net.Dial("tcp", entrance.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection.(*net.TCPConn)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}
