// The CUDA stream on which ATen queues its work, in the form that the kernels take. It is obtained through c10's
// device-independent interface, because nothing here links libtorch_cuda (moga/core/device.h).
//
// A kernel is launched on the *current* device: hold a c10::DeviceGuard for the tensor's device around the launch.
#pragma once

#include <c10/core/Device.h>

struct CUstream_st;

namespace moga {

// The current stream of a CUDA device (of the current device if `device` has no index); null is CUDA's default stream.
// Throws for other devices, and if CUDA cannot be used.
CUstream_st* current_cuda_stream(c10::Device device);

}  // namespace moga
