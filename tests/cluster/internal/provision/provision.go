// Package provision gives claims of the default StorageClass a folder on the
// node. Everybody may write to it: the node applies no fsGroup to such folders,
// and a pod that is not root shall be able to use its claim.
package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

const (
	// StorageClass is the default class's name.
	StorageClass = "standard"
	// Name of the provisioner in the StorageClass.
	Name = "drover.dev/host-path"

	provisionedBy = "pv.kubernetes.io/provisioned-by"
	requestedFrom = "volume.kubernetes.io/storage-provisioner"
)

// Provisioner makes and removes volumes below one folder.
type Provisioner struct {
	client kubernetes.Interface
	folder string
	queue  workqueue.TypedRateLimitingInterface[task]
}

// task names a claim to serve, or a volume to reclaim if namespace is empty.
type task struct{ namespace, name string }

// New returns a provisioner whose volumes lie below folder.
func New(client kubernetes.Interface, folder string) *Provisioner {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[task](50*time.Millisecond, 5*time.Second)
	return &Provisioner{
		client: client,
		folder: folder,
		queue:  workqueue.NewTypedRateLimitingQueue(limiter),
	}
}

// Run serves claims until ctx ends.
func (p *Provisioner) Run(ctx context.Context) error {
	if err := p.watch(ctx); err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		p.queue.ShutDown()
	}()
	for {
		next, stop := p.queue.Get()
		if stop {
			return nil
		}
		if err := p.handle(ctx, next); err != nil {
			klog.ErrorS(err, "will try again", "namespace", next.namespace, "name", next.name)
			p.queue.AddRateLimited(next)
		} else {
			p.queue.Forget(next)
		}
		p.queue.Done(next)
	}
}

func (p *Provisioner) handle(ctx context.Context, t task) error {
	if t.namespace == "" {
		return p.reclaim(ctx, t.name)
	}
	claim, err := p.client.CoreV1().PersistentVolumeClaims(t.namespace).Get(ctx, t.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get claim: %w", err)
	}
	if !wantsVolume(claim) {
		return nil
	}
	return p.provision(ctx, claim)
}

// wantsVolume looks for the mark that the volume controller puts on claims for us.
func wantsVolume(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[requestedFrom] == Name &&
		claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
}

func (p *Provisioner) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume := p.volumeFor(claim)
	if err := makeOpenFolder(volume.Spec.HostPath.Path); err != nil {
		return err
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create volume: %w", err)
	}
	return nil
}

func (p *Provisioner) volumeFor(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	kind := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{provisionedBy: Name},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              *claim.Spec.StorageClassName,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(p.folder, name), Type: &kind},
			},
		},
	}
}

// makeOpenFolder sets the mode separately, since Mkdir's is cut by the umask.
func makeOpenFolder(path string) error {
	if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder for volume: %w", err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("open folder for volume: %w", err)
	}
	return nil
}

// reclaim removes a released volume with its data.
func (p *Provisioner) reclaim(ctx context.Context, name string) error {
	volumes := p.client.CoreV1().PersistentVolumes()
	volume, err := volumes.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get volume: %w", err)
	}
	if !isReclaimable(volume) {
		return nil
	}
	path := volume.Spec.HostPath.Path
	if filepath.Dir(path) != p.folder || strings.HasPrefix(filepath.Base(path), ".") {
		return fmt.Errorf("volume %s lies at %s, not below %s", name, path, p.folder)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove folder of volume: %w", err)
	}
	if err := volumes.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete volume: %w", err)
	}
	return nil
}

func isReclaimable(volume *corev1.PersistentVolume) bool {
	return volume.Annotations[provisionedBy] == Name &&
		volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		volume.Spec.HostPath != nil && volume.DeletionTimestamp == nil
}
