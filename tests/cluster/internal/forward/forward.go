// Package forward carries the host's connections to the API server into the
// node's network namespace.
package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Serve accepts on listener, a socket that belongs to the host's network even
// though it is served on the node, and joins each connection to target. It
// returns when the listener is closed.
func Serve(listener net.Listener, target string) error {
	for {
		outside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept connection to the API server: %w", err)
		}
		go join(outside, target)
	}
}

func join(outside net.Conn, target string) {
	defer outside.Close()
	inside, err := net.Dial("tcp", target)
	if err != nil {
		// The API server is not there; closing says so to the client.
		return
	}
	defer inside.Close()
	var directions sync.WaitGroup
	directions.Go(func() { pump(inside, outside) })
	directions.Go(func() { pump(outside, inside) })
	directions.Wait()
}

// pump copies until the source ends, and passes the end on while the other
// direction may still carry data, as at the end of `kubectl exec`.
func pump(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		// A reset must reach both sides, or the other pump would wait forever.
		to.Close()
		from.Close()
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
