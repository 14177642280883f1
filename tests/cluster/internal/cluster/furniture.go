package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drover.dev/tests/cluster/internal/provision"
)

// createFurniture leaves alone what is there already.
func createFurniture(ctx context.Context, client kubernetes.Interface) error {
	for user, rules := range componentRules() {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: rules}
		_, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create role %s: %w", user, err)
		}
		_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, bindingTo(user), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("bind role %s: %w", user, err)
		}
	}
	_, err := client.StorageV1().StorageClasses().Create(ctx, defaultClass(), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create storage class: %w", err)
	}
	return nil
}

// componentRules covers the components that upstream has no built-in role for.
func componentRules() map[string][]rbacv1.PolicyRule {
	watch := []string{"get", "list", "watch"}
	return map[string][]rbacv1.PolicyRule{
		coreDNSUser: {
			{APIGroups: []string{""}, Resources: []string{"services", "namespaces", "pods", "endpoints"}, Verbs: watch},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: watch},
		},
		provisionerUser: {
			{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: watch},
			{APIGroups: []string{""}, Resources: []string{"persistentvolumes"}, Verbs: append([]string{"create", "delete"}, watch...)},
		},
	}
}

func bindingTo(user string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
}

func defaultClass() *storagev1.StorageClass {
	immediate := storagev1.VolumeBindingImmediate
	remove := corev1.PersistentVolumeReclaimDelete
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        provision.StorageClass,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       provision.Name,
		VolumeBindingMode: &immediate,
		ReclaimPolicy:     &remove,
	}
}
