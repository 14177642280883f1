package provision

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestVolumeForClaimAndBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	folder := t.TempDir()
	client := fake.NewClientset(claim())
	done := make(chan error, 1)
	go func() { done <- New(client, folder).Run(ctx) }()

	path := filepath.Join(folder, "pvc-1234")
	await(t, func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().Perm() == 0o777
	})
	volumes := client.CoreV1().PersistentVolumes()
	var volume *corev1.PersistentVolume
	await(t, func() (found bool) {
		var err error
		volume, err = volumes.Get(ctx, "pvc-1234", metav1.GetOptions{})
		return err == nil
	})
	if volume.Spec.ClaimRef.Name != "data" || volume.Spec.HostPath.Path != path {
		t.Errorf("volume is %+v", volume.Spec)
	}

	volume.Status.Phase = corev1.VolumeReleased
	if _, err := volumes.UpdateStatus(ctx, volume, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		list, err := volumes.List(ctx, metav1.ListOptions{})
		_, statErr := os.Stat(path)
		return err == nil && len(list.Items) == 0 && os.IsNotExist(statErr)
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestVolumeElsewhereIsNotRemoved(t *testing.T) {
	precious := t.TempDir()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "forged", Annotations: map[string]string{provisionedBy: Name}},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: precious}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
	if err := New(fake.NewClientset(volume), t.TempDir()).reclaim(t.Context(), "forged"); err == nil {
		t.Error("no complaint")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestClaimsOfOthersAreLeftAlone(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"another provisioner": func(c *corev1.PersistentVolumeClaim) { c.Annotations[requestedFrom] = "other" },
		"bound":               func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" },
		"going":               func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} },
	} {
		c := claim()
		change(c)
		if wantsVolume(c) {
			t.Errorf("%s: served", name)
		}
	}
}

func claim() *corev1.PersistentVolumeClaim {
	class := StorageClass
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "n", Name: "data", UID: "1234",
			Annotations: map[string]string{requestedFrom: Name},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

func await(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("it did not happen")
}
