package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestServerCertificateIsTrustedForItsHosts(t *testing.T) {
	authority := newTestAuthority(t)
	pair, err := authority.Server("api", "127.0.0.1", "kubernetes.default.svc")
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	for _, host := range []string{"127.0.0.1", "kubernetes.default.svc"} {
		if err := verify(authority, certificate, host, x509.ExtKeyUsageServerAuth); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := verify(authority, certificate, "example.org", x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("trusted for a host that it does not name")
	}
	if err := verify(authority, certificate, "127.0.0.1", x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("a server certificate passes for a client's")
	}
}

func TestClientCertificateNamesUserAndGroups(t *testing.T) {
	authority := newTestAuthority(t)
	pair, err := authority.Client("system:node:n", "system:nodes")
	if err != nil {
		t.Fatal(err)
	}
	certificate := parse(t, pair)
	if err := verify(authority, certificate, "", x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	if certificate.Subject.CommonName != "system:node:n" || !slices.Equal(certificate.Subject.Organization, []string{"system:nodes"}) {
		t.Errorf("subject is %s", certificate.Subject)
	}
}

func TestOneAuthorityDoesNotTrustAnother(t *testing.T) {
	pair, err := newTestAuthority(t).Client("somebody")
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(newTestAuthority(t), parse(t, pair), "", x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("trusted")
	}
}

func TestSigningKeyPairBelongsTogether(t *testing.T) {
	private, public, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(private)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(public)
	half, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(half) {
		t.Error("they do not")
	}
}

func TestKubeconfigIsSelfContained(t *testing.T) {
	authority := newTestAuthority(t)
	pair, err := authority.Client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	data, err := Kubeconfig("https://127.0.0.1:1", authority.Certificate, pair)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:1" || config.CAFile != "" || len(config.CertData) == 0 || len(config.KeyData) == 0 {
		t.Errorf("got %s", data)
	}
}

func newTestAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return both.Leaf
}

func verify(authority *Authority, certificate *x509.Certificate, host string, usage x509.ExtKeyUsage) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.Pair.Certificate)
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}
