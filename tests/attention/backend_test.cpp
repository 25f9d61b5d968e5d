// The registry of backends: names, the choice that "auto" makes, and the error of a backend that cannot serve.
#include "moga/attention/backend.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "moga/attention/attend.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

TEST(Backend, AutoChoosesByDtype) {
  EXPECT_EQ(default_backend(at::zeros({1, 1, 8})), AttentionBackend::kCpu);
  EXPECT_EQ(default_backend(at::zeros({1, 1, 8}, at::kDouble)), AttentionBackend::kReference);
  EXPECT_EQ(choose_backend(at::zeros({1, 1, 8}), AttentionBackend::kAuto), &kCpuBackend);
  EXPECT_EQ(choose_backend(at::zeros({1, 1, 8}), AttentionBackend::kReference), nullptr);
}

TEST(Backend, EveryNameIsAChoice) {
  for (const auto& known : kChoices<AttentionBackend>)
    EXPECT_EQ(choice<AttentionBackend>("backend", known.name), known.value);
  EXPECT_EQ(choice<AttentionBackend>("backend", "flash"), AttentionBackend::kFlash);
  EXPECT_EQ(error_of([] { choice<AttentionBackend>("backend", "flsh"); }),
            "backend 'flsh' is not one of " + choice_list<AttentionBackend>() + "; did you mean 'flash'?");
}

TEST(Backend, SaysWhatItServes) {
  const at::Tensor x = at::zeros({4, 1, 8}, at::kDouble);
  const auto message = [&](AttentionBackend backend) { return error_of([&] { choose_backend(x, backend); }); };
  EXPECT_NE(message(AttentionBackend::kFlash).find("bfloat16 on CUDA"), std::string::npos);
  EXPECT_NE(message(AttentionBackend::kCpu).find("q is float64 on cpu with head size 8"), std::string::npos);
}

}  // namespace
}  // namespace moga::test
