"""ECR of the embedded cloud: images without layers, whose manifest describes the application that stands in for them.

Implemented here are the annotations, and the resolution of an image's reference for ECS. moto keeps repositories and
manifests, repaired in `local_cloud.moto_fixes.ecr_images`. Not simulated: the registry's HTTP API (`docker push`),
layers, image scanning, and the effect of lifecycle policies.
"""
