//! What PyTorch has in `torch.nn.utils`: functions of parameters, and layers whose weight is computed.
