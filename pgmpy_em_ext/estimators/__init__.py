"""The faces that users see: `WeightedEM`, `LinearGaussianEM` and `ConditionalGaussianEM`."""
