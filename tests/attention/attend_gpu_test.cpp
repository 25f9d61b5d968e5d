// The flash and sm90 backends on a GPU against the float64 reference, and that neither routing nor attention waits for
// the device: a stream under capture refuses every synchronisation.
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "moga/attention/backend.h"
#include "moga/attention/visual_attention.h"
#include "moga/core/random.h"
#include "tests/attention/cases.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

const at::Device kGpu(at::kCUDA, 0);

void expect_served(const Case& at, AttentionBackend backend, at::ScalarType dtype, int64_t heads, int64_t size) {
  SCOPED_TRACE(at.name);
  expect_as_good_as(run_attention(at, backend, dtype, heads, size, kGpu),
                    run_attention(at, AttentionBackend::kReference, dtype, heads, size, kGpu),
                    run_attention(at, AttentionBackend::kReference, at::kDouble, heads, size, kGpu), 2.0, 1e-4);
}

void expect_flash(const Case& at, at::ScalarType dtype, int64_t heads, int64_t size) {
  expect_served(at, AttentionBackend::kFlash, dtype, heads, size);
}

// Compiled in, and the GPU is a Hopper.
bool has_sm90() { return kSm90Backend.can_serve(at::zeros({1, 1, 64}, at::TensorOptions(kGpu).dtype(at::kBFloat16))); }

// A function of the CUDA runtime by name: tests link neither libcudart nor libc10_cuda.
template <class Function>
Function* cuda_function(const char* name) {
  void* library = dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD);
  void* symbol = dlsym(library ? library : RTLD_DEFAULT, name);
  if (!symbol) throw std::runtime_error(std::string("no ") + name);
  return reinterpret_cast<Function*>(symbol);
}

// Runs `work` three times on its own stream, the last time under capture, where any synchronisation throws.
testing::AssertionResult captures(const std::function<void()>& work) {
  const c10::impl::VirtualGuardImpl device(at::kCUDA);
  const c10::Stream stream = device.getStreamFromGlobalPool(kGpu);
  const c10::StreamGuard guard(stream);
  work();
  work();
  device.synchronizeDevice(kGpu.index());
  constexpr int kRelaxed = 2;
  if (cuda_function<int(void*, int)>("cudaStreamBeginCapture")(stream.native_handle(), kRelaxed) != 0)
    return testing::AssertionFailure() << "capture did not begin";
  std::string failure;
  try {
    work();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  void* graph = nullptr;
  const int ended = cuda_function<int(void*, void**)>("cudaStreamEndCapture")(stream.native_handle(), &graph);
  if (graph) cuda_function<int(void*)>("cudaGraphDestroy")(graph);
  cuda_function<int()>("cudaGetLastError")();  // clears the error left by a failed capture
  if (!failure.empty()) return testing::AssertionFailure() << failure;
  if (ended != 0 || !graph) return testing::AssertionFailure() << "capture ended with error " << ended;
  return testing::AssertionSuccess();
}

TEST(AttendGpu, FlashIsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  for (const Case& at : attention_cases()) expect_flash(at, at::kBFloat16, at.queries > 1000 ? 1 : 3, 64);
}

TEST(AttendGpu, FlashServesHeadSizesAndHalf) {
  MOGA_NEEDS_GPU();
  for (const Case& at : attention_cases()) {
    if (at.queries > 1000) continue;
    expect_flash(at, at::kBFloat16, 2, 128);
    expect_flash(at, at::kHalf, 2, 64);
    expect_flash(at, at::kBFloat16, 1, 40);
  }
}

TEST(AttendGpu, FlashServesMoreThan65535KeysOfOneGroup) {
  MOGA_NEEDS_GPU();
  const Rows query = make_rows({70}, {}, at::kCPU), key = make_rows({70000}, random_order(70000, 1), at::kCPU);
  expect_flash({"keys", 70, 70000, {query, key}}, at::kBFloat16, 2, 64);
  expect_flash({"queries", 70000, 70, {key, query}}, at::kBFloat16, 2, 64);
}

TEST(AttendGpu, Sm90IsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  if (!has_sm90()) GTEST_SKIP() << "no Hopper GPU, or built without MOGA_CUDA";
  for (const Case& at : attention_cases())
    for (const int64_t size : {64, 128})
      expect_served(at, AttentionBackend::kSm90, at::kBFloat16, at.queries > 1000 ? 1 : 3, size);
}

TEST(AttendGpu, Sm90ServesRowsOfWiderTensors) {
  MOGA_NEEDS_GPU();
  if (!has_sm90()) GTEST_SKIP() << "no Hopper GPU, or built without MOGA_CUDA";
  const at::Tensor qkv = at::randn({300, 3, 2, 64}, at::TensorOptions(kGpu).dtype(at::kBFloat16));
  const at::Tensor q = qkv.select(1, 0), k = qkv.select(1, 1), v = qkv.select(1, 2);
  const Rows rows = make_rows({100, 200}, {}, kGpu);
  const Attended strided = attend(q, k, v, {rows, rows}, AttentionBackend::kSm90);
  const Attended dense = attend(q.contiguous(), k.contiguous(), v.contiguous(), {rows, rows}, AttentionBackend::kSm90);
  EXPECT_TRUE(at::equal(strided.output, dense.output));
  EXPECT_TRUE(at::equal(strided.lse, dense.lse));
}

TEST(AttendGpu, ChoosesABackendByDtypeAndHeadSize) {
  MOGA_NEEDS_GPU();
  const auto chosen = [](at::ScalarType dtype, int64_t size) {
    return default_backend(at::zeros({1, 1, size}, at::TensorOptions(kGpu).dtype(dtype)));
  };
  for (const int64_t size : {64, 128})
    EXPECT_EQ(chosen(at::kBFloat16, size), has_sm90() ? AttentionBackend::kSm90 : AttentionBackend::kFlash);
  EXPECT_EQ(chosen(at::kBFloat16, 40), AttentionBackend::kFlash);
  EXPECT_EQ(chosen(at::kHalf, 64), AttentionBackend::kFlash);
  EXPECT_EQ(chosen(at::kFloat, 64), AttentionBackend::kReference);
}

TEST(AttendGpu, ReferenceServesFloat32) {
  MOGA_NEEDS_GPU();
  for (const Case& at : attention_cases()) {
    if (at.queries > 1000) continue;
    const Results a = run_attention(at, AttentionBackend::kAuto, at::kFloat, 2, 32, kGpu);
    EXPECT_TRUE(
        close(a.output, run_attention(at, AttentionBackend::kReference, at::kFloat, 2, 32).output.to(kGpu), 1e-5))
        << at.name;
  }
}

TEST(RouterGpu, RoutesAsOnTheCpu) {
  MOGA_NEEDS_GPU();
  const Layout layout{{{3, 30, 52, {}}, {3, 30, 52, {}}, {2, 5, 7, {}}}};
  const at::Tensor x = at::randn({layout.tokens(), 64}, random_stream(1, "x"));
  Router router(64, 5);
  const Routing cpu = router->forward(x, layout);
  router->to(kGpu);
  const Routing gpu = router->forward(x.to(kGpu), layout);
  EXPECT_TRUE(close(gpu.probabilities.cpu(), cpu.probabilities, 1e-5));
  const Rows rows = routed_groups(layout, cpu.group.to(kGpu), 5).query;
  EXPECT_TRUE(at::equal(rows.index.cpu(), cpu.grouping.query.index));
  EXPECT_TRUE(at::equal(rows.offsets.cpu(), cpu.grouping.query.offsets));
  EXPECT_TRUE(close(balance_loss(gpu, layout).cpu(), balance_loss(cpu, layout), 1e-3));
}

TEST(RouterGpu, TakesTheLowestIndexOnATie) {
  MOGA_NEEDS_GPU();
  Router router(8, 4);
  torch::NoGradGuard no_grad;
  router->weight.zero_();
  router->bias.copy_(at::tensor({0.0f, 1.0f, 1.0f, 0.5f}));
  router->to(kGpu);
  const Routing routing = router->forward(at::randn({70000, 8}, kGpu), {{{70000, 1, 1, {}}}});
  EXPECT_TRUE(at::equal(routing.group, at::ones_like(routing.group)));
}

TEST(VisualAttentionGpu, NothingWaitsForTheDevice) {
  MOGA_NEEDS_GPU();
  const Layout layout{{{8, 6, 8, {3, 5}}, {4, 6, 8, {}}}};
  VisualAttentionConfig config, lse;
  lse.combine = Combine::kLse;
  const StaticGroupings groupings = static_groupings(layout, config, kGpu);
  const auto options = at::TensorOptions(kGpu).dtype(at::kBFloat16);
  Router router(128, config.groups);
  router->to(kGpu);
  for (const VisualAttentionConfig& combined : {config, lse})
    EXPECT_TRUE(captures([&] {
      const at::Tensor q = at::ones({layout.tokens(), 2, 64}, options).requires_grad_();
      const at::Tensor x = q.flatten(1);
      const Routing routing = router->forward(x, layout);
      const at::Tensor output = visual_attention(q, q, q, &routing, groupings, combined);
      const at::Tensor loss = output.to(at::kFloat).square().mean() + balance_loss(routing, layout);
      torch::autograd::grad({loss}, {q, router->weight, router->bias});
    })) << name_of(combined.combine);
}

// What the test above relies on.
TEST(VisualAttentionGpu, CaptureRefusesASynchronisation) {
  MOGA_NEEDS_GPU();
  EXPECT_FALSE(captures([] { at::ones({4}, kGpu).sum().item<float>(); }));
}

TEST(VisualAttentionGpu, EqualsTheCpu) {
  MOGA_NEEDS_GPU();
  const Layout layout{{{5, 6, 8, {2, 3}}, {3, 4, 6, {}}}};
  const VisualAttentionConfig config;
  const auto draw = [&](const char* name) {
    return at::randn({layout.tokens(), 2, 64}, random_stream(1, name)).to(at::kBFloat16);
  };
  const at::Tensor q = draw("q"), k = draw("k"), v = draw("v");
  Router router(128, config.groups);
  const Routing routing = router->forward(q.flatten(1), layout);
  const auto run = [&](at::Device device, at::ScalarType dtype) {
    const auto on = [&](const at::Tensor& x) { return x.to(device, dtype); };
    const TokenScores scores{routing.probabilities.to(device), routing.group.to(device), routing.gate.to(device), {}};
    const Routing moved{scores, routing.grouping.to(device)};
    return visual_attention(on(q), on(k), on(v), &moved, static_groupings(layout, config, device), config);
  };
  EXPECT_TRUE(as_good_as(run(kGpu, at::kBFloat16).cpu(), run(at::kCPU, at::kBFloat16), run(at::kCPU, at::kDouble)));
}

}  // namespace
}  // namespace moga::test
