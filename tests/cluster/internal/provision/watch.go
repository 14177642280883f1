package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// watch queues every claim and volume that changes.
func (p *Provisioner) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(p.client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	for _, informer := range []cache.SharedIndexInformer{claims, volumes} {
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc:    p.enqueue,
			UpdateFunc: func(_, current any) { p.enqueue(current) },
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch claims and volumes: %w", err)
		}
	}
	factory.Start(ctx.Done())
	return nil
}

// enqueue drops what needs nothing, so that most changes cost no request.
func (p *Provisioner) enqueue(object any) {
	switch o := object.(type) {
	case *corev1.PersistentVolumeClaim:
		if wantsVolume(o) {
			p.queue.Add(task{namespace: o.Namespace, name: o.Name})
		}
	case *corev1.PersistentVolume:
		if isReclaimable(o) {
			p.queue.Add(task{name: o.Name})
		}
	}
}
