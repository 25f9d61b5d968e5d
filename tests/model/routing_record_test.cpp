// What is recorded of a small transformer, compared with its routers evaluated on the same inputs.
#include "moga/model/routing_record.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/module_io.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"

namespace moga {
namespace {

using test::random_input;
using test::random_transformer;
using test::small_config;

const VideoShape kVideo{5, 2, 4, {2, 3}};  // 40 tokens

RoutingRecorderConfig config_of(std::vector<int64_t> layers, size_t steps) {
  RoutingRecorderConfig config{.video = kVideo, .layers = std::move(layers), .frames = {0, 2, 4}};
  for (size_t i = 0; i < steps; ++i) config.steps.push_back({static_cast<int64_t>(i) + 1, 900.0 - 300.0 * i, 0});
  return config;
}

// The video twice, as with guidance: the recorder sees the first.
void observe(Transformer& model, const AttentionObserver& observer) {
  const at::NoGradGuard no_grad;
  VideoModelInput input = random_input(small_config(), {kVideo, kVideo});
  input.observer = observer;
  model->forward(input, at::kFloat);
}

TEST(RoutingRecord, IsTheRoutersOwn) {
  at::manual_seed(1);
  Transformer model = random_transformer(small_config());
  RoutingRecorderConfig config = config_of({1}, 1);
  at::Tensor seen, group;
  config.listener = [&](const RoutingRecord&, const at::Tensor& x, const at::Tensor& own) { seen = x, group = own; };
  RoutingRecorder recorder({model.ptr()}, config);
  observe(model, recorder.observer(0));
  ASSERT_EQ(recorder.records().size(), 1u);
  const RoutingRecord& record = recorder.records().front();
  const TensorMap tensors = named_tensors(*model);
  const at::Tensor p = at::softmax(
      seen.matmul(tensors.at("blocks.1.self_attn.router.weight").t()) + tensors.at("blocks.1.self_attn.router.bias"),
      1);
  ASSERT_EQ(seen.size(0), kVideo.tokens());
  EXPECT_TRUE(at::equal(group, p.argmax(1)));
  EXPECT_TRUE(at::equal(record.maps.group, group.view({5, 2, 4}).index_select(0, at::tensor({0, 2, 4})).to(at::kByte)));
  EXPECT_NEAR(record.numbers.gate, p.amax(1).mean().item<double>(), 1e-6);
  const double entropy = -(p * p.log()).sum(1).mean().item<double>() / std::log(3.0);
  EXPECT_NEAR(record.numbers.entropy, entropy, 1e-5);
  EXPECT_EQ(record.maps.gate[1][0][1].item<int64_t>(), std::llround(255 * p.amax(1)[17].item<double>()));
}

TEST(RoutingRecord, CountsShotsAndBalance) {
  at::manual_seed(2);
  Transformer model = random_transformer(small_config());
  RoutingRecorderConfig config = config_of({0}, 1);
  at::Tensor x, group;
  config.listener = [&](const RoutingRecord&, const at::Tensor& seen, const at::Tensor& own) { x = seen, group = own; };
  RoutingRecorder recorder({model.ptr()}, config);
  observe(model, recorder.observer(0));
  const RoutingNumbers& numbers = recorder.records().front().numbers;
  for (int64_t shot = 0; shot < 2; ++shot)
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_EQ(numbers.shot_counts[shot][i],
                (group.slice(0, shot * 16, shot == 0 ? 16 : 40) == i).sum().item<int64_t>());
  const TensorMap tensors = named_tensors(*model);
  Router router(32, 3);
  router->weight = tensors.at("blocks.0.self_attn.router.weight");
  router->bias = tensors.at("blocks.0.self_attn.router.bias");
  const Layout layout{{kVideo}};
  EXPECT_NEAR(numbers.balance, balance_loss(router->forward(x, layout), layout).item<double>(), 1e-5);
}

TEST(RoutingRecord, ComparesLayersAndSteps) {
  at::manual_seed(3);
  Transformer model = random_transformer(small_config());
  RoutingRecorder recorder({model.ptr()}, config_of({0, 1}, 2));
  at::manual_seed(4);
  observe(model, recorder.observer(0));
  at::manual_seed(4);  // the same input again
  observe(model, recorder.observer(1));
  const auto& records = recorder.records();
  ASSERT_EQ(records.size(), 4u);
  EXPECT_FALSE(records[0].as_previous_layer || records[0].as_previous_step || records[1].as_previous_step);
  EXPECT_FALSE(records[2].as_previous_layer);
  EXPECT_DOUBLE_EQ(*records[2].as_previous_step, 1);
  EXPECT_LT(*records[1].as_previous_layer, 1);
  EXPECT_DOUBLE_EQ(*records[1].as_previous_layer, *records[3].as_previous_layer);
}

TEST(RoutingRecord, LeavesOutLayersWithoutARouter) {
  TransformerConfig config = small_config();
  config.moga.full_layers = {0};
  Transformer model = random_transformer(config);
  EXPECT_EQ(routed_layers(config), std::vector<int64_t>{1});
  RoutingRecorder recorder({model.ptr()}, config_of({0, 1}, 1));
  observe(model, recorder.observer(0));
  ASSERT_EQ(recorder.records().size(), 1u);
  EXPECT_EQ(recorder.records().front().layer, 1);
}

TEST(RoutingRecord, RefusesWhatItCannotStore) {
  TransformerConfig config = small_config();
  config.moga.groups = 300;
  Transformer model = random_transformer(config);
  EXPECT_EQ(test::error_of([&] { RoutingRecorder({model.ptr()}, config_of({0}, 1)); }),
            "routing: the model has 300 groups, expected at most 256");
}

}  // namespace
}  // namespace moga
