// Names of devices and dtypes, and CUDA used without linking it.
#include "moga/core/device.h"

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "moga/core/cuda_stream.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

std::string error_parsing(const std::string& device) {
  return test::error_of([&] { parse_device(device); });
}

TEST(Device, NamesAreParsed) {
  EXPECT_EQ(parse_device("cpu"), c10::Device(c10::kCPU));
  EXPECT_EQ(parse_device("auto").is_cuda(), cuda_available());
}

TEST(Device, UnknownNamesSayWhatIsExpected) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0x"})
    EXPECT_NE(error_parsing(name).find("expected cpu, cuda, cuda:N or auto"), std::string::npos) << name;
}

TEST(Device, AskingForAnAbsentGpuSaysWhatIsMissing) {
  EXPECT_NE(error_parsing("cuda:97").find(cuda_available() ? "counted from cuda:0" : "cannot be used: "),
            std::string::npos);
}

TEST(Device, DtypesHaveLongAndShortNames) {
  EXPECT_EQ(parse_dtype("bf16"), at::kBFloat16);
  EXPECT_EQ(parse_dtype("float32"), at::kFloat);
  EXPECT_EQ(dtype_name(at::kHalf), "float16");
  EXPECT_EQ(test::error_of([] { parse_dtype("int8"); }),
            "dtype 'int8' is unknown: expected float32, bfloat16, float16 or float64");
}

TEST(Device, TheAllocatorsSettingsOfAUserStay) {
  unsetenv("PYTORCH_CUDA_ALLOC_CONF");
  unsetenv("PYTORCH_ALLOC_CONF");
  use_expandable_segments();
  EXPECT_STREQ(std::getenv("PYTORCH_ALLOC_CONF"), "expandable_segments:True");
  setenv("PYTORCH_ALLOC_CONF", "max_split_size_mb:64", 1);
  use_expandable_segments();
  EXPECT_STREQ(std::getenv("PYTORCH_ALLOC_CONF"), "max_split_size_mb:64");
  unsetenv("PYTORCH_ALLOC_CONF");
  setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64", 1);
  use_expandable_segments();
  EXPECT_EQ(std::getenv("PYTORCH_ALLOC_CONF"), nullptr);
  unsetenv("PYTORCH_CUDA_ALLOC_CONF");
}

TEST(Device, PeakMemoryOfTheCpuGrowsWithWhatIsTouched) {
  const int64_t before = peak_memory(at::kCPU);
  const at::Tensor touched = at::ones({32 << 20}, at::kFloat);
  EXPECT_GE(peak_memory(at::kCPU), std::max(before, touched.numel() * 4));
  EXPECT_FALSE(device_name(at::kCPU).empty());
}

TEST(DeviceGpu, WorksWithoutLinkingCuda) {
  MOGA_NEEDS_GPU();
  const c10::Device device = parse_device("cuda");
  const at::Tensor product = at::ones({256, 256}, device).matmul(at::ones({256, 256}, device));
  synchronize(device);
  EXPECT_EQ(product.sum().item<float>(), 256.0f * 256.0f * 256.0f);
  EXPECT_GE(peak_memory(device), 3 * 256 * 256 * 4);
  EXPECT_NE(device_name(device).find("NVIDIA"), std::string::npos) << device_name(device);
}

TEST(Device, OnlyCudaHasACudaStream) {
  EXPECT_EQ(test::error_of([] { current_cuda_stream(at::kCPU); }), "device cpu has no CUDA stream");
}

TEST(DeviceGpu, TheCurrentStreamIsTheGuardsStream) {
  MOGA_NEEDS_GPU();
  const c10::Device device(at::kCUDA, 0);
  CUstream_st* outside = current_cuda_stream(device);
  const c10::Stream other = c10::impl::VirtualGuardImpl(at::kCUDA).getStreamFromGlobalPool(device);
  {
    const c10::StreamGuard guard(other);
    EXPECT_NE(current_cuda_stream(device), outside);
    EXPECT_EQ(current_cuda_stream(device), other.native_handle());
    EXPECT_EQ(current_cuda_stream(at::kCUDA), other.native_handle());
  }
  EXPECT_EQ(current_cuda_stream(device), outside);
}

}  // namespace
}  // namespace moga
