// What goes wrong in a run is named when it begins, once, and when it is over.
#include "moga/train/loop/run_watch.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

using News = std::vector<std::string>;
using Layers = std::vector<std::vector<double>>;

nlohmann::json routing(const Layers& groups) { return {{"loss", 1.0}, {"gradient_norm", 1.0}, {"groups", groups}}; }

const std::vector<double> kEven = {0.25, 0.25, 0.25, 0.25}, kOne = {0.1, 0.7, 0.1, 0.1};

TEST(RunWatch, ACollapseIsNamedWithItsLayerOnce) {
  RunWatch watch;
  EXPECT_EQ(watch.read(routing({kEven, kEven, kEven})), News());
  EXPECT_EQ(
      watch.read(routing({kEven, kOne, kOne})),
      News{"routing has collapsed in layers 1, 2: group 1 of layer 1 has 70 % of the tokens, evenly it would have "
           "25 %"});
  EXPECT_EQ(watch.read(routing({kEven, kOne, kOne})), News());
  EXPECT_EQ(watch.read(routing({kEven, kOne, kEven})), News{"routing is no longer collapsed in layer 2"});
}

TEST(RunWatch, AStarvingGroupIsNamed) {
  RunWatch watch;
  const std::vector<double> starving = {0.34, 0.01, 0.33, 0.32};
  const News expected = {
      "groups starve in layer 0: group 1 of layer 0 has 1 % of the tokens, evenly it would have 25 %"};
  EXPECT_EQ(watch.read(routing({starving})), expected);
  EXPECT_EQ(watch.read(routing({starving})), News());
  EXPECT_EQ(watch.read(routing({kEven})), News());
  EXPECT_EQ(watch.read(routing({starving})), expected);
}

TEST(RunWatch, ManyLayersAreOneLine) {
  RunWatch watch;
  const News news = watch.read(routing(Layers(30, kOne)));
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(news[0].substr(0, 71), "routing has collapsed in layers 0, 1, 2, 3, 4, 5, 6, 7 and 22 more: gro");
}

TEST(RunWatch, ALossThatJumpsAndComesBackIsNamed) {
  RunWatch watch;
  const auto line = [](double loss) { return nlohmann::json{{"loss", loss}, {"gradient_norm", 2.0}}; };
  for (int i = 0; i < 6; ++i) EXPECT_EQ(watch.read(line(1 - 0.01 * i)), News());
  EXPECT_EQ(watch.read(line(1.9)), News{"the loss jumps to 1.9, median before 0.98"});
  EXPECT_EQ(watch.read(line(2.5)), News());
  EXPECT_EQ(watch.read(line(1.0)), News{"the loss is down again at 1, median before 0.98"});
}

TEST(RunWatch, GradientsThatVanishOrExplodeAreNamed) {
  const auto line = [](double norm) { return nlohmann::json{{"loss", 1.0}, {"gradient_norm", norm}}; };
  RunWatch watch;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(watch.read(line(2)), News());
  EXPECT_EQ(watch.read(line(1e-4)), News{"gradients vanish: their norm is 0.0001, median before 2"});
  EXPECT_EQ(watch.read(line(2)), News());
  EXPECT_EQ(watch.read(line(50)), News{"the gradient norm grows to 50, median before 2"});
}

TEST(RunWatch, ThePartWhoseGradientVanishesIsNamed) {
  const auto line = [](double router) {
    return nlohmann::json{
        {"loss", 1.0}, {"gradient_norm", 1.0}, {"gradient_norms", {{"mlp", 1.0}, {"router", router}}}};
  };
  RunWatch watch;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(watch.read(line(0.5)), News());
  EXPECT_EQ(watch.read(line(1e-5)), News{"gradients vanish: their norm is router 1e-05, median before 0.5"});
  EXPECT_EQ(watch.read(line(1e-5)), News());
  EXPECT_EQ(watch.read(line(8)), News{"the gradient norm grows to router 8, median before 0.5"});
}

TEST(RunWatch, TheLayerWhoseGradientVanishesOrGrowsIsNamed) {
  const auto line = [](double layer) {
    return nlohmann::json{{"loss", 1.0}, {"gradient_norm", 1.0}, {"gradient_norm_layers", {0.5, layer, 0.5}}};
  };
  RunWatch watch;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(watch.read(line(0.5)), News());
  EXPECT_EQ(watch.read(line(1e-5)), News{"gradients vanish in layer 1: their norm is 1e-05, median before 0.5"});
  EXPECT_EQ(watch.read(line(1e-5)), News());
  EXPECT_EQ(watch.read(line(8)), News{"the gradient norm grows in layer 1 to 8, median before 0.5"});
}

TEST(RunWatch, AJumpOfTheLossNamesTheLayerWhoseGradientGrewMost) {
  RunWatch watch;
  const auto line = [](double loss, double layer) {
    return nlohmann::json{{"loss", loss}, {"gradient_norm", 1.0}, {"gradient_norm_layers", {0.5, layer, 0.5}}};
  };
  for (int i = 0; i < 6; ++i) EXPECT_EQ(watch.read(line(1, 0.5)), News());
  EXPECT_EQ(watch.read(line(2, 2)),
            News{"the loss jumps to 2, median before 1; the gradient grew most in layer 1, to 4 times its median"});
}

TEST(RunWatch, ALayerWithoutARouterKeepsItsNumber) {
  RunWatch watch;
  EXPECT_EQ(watch.read(routing({{}, kEven, kOne})),
            News{"routing has collapsed in layer 2: group 1 of layer 2 has 70 % of the tokens, evenly it would have "
                 "25 %"});
}

TEST(RunWatch, AHeldOutLossThatRisesAgainIsNamed) {
  RunWatch watch;
  const auto line = [](double loss) { return nlohmann::json{{"held_out_loss", loss}}; };
  for (const double loss : {1.0, 0.5, 0.4, 0.41}) EXPECT_EQ(watch.read(line(loss)), News());
  EXPECT_EQ(watch.read(line(0.43)), News{"the held-out loss rises to 0.43, its lowest was 0.4"});
  EXPECT_EQ(watch.read(line(0.5)), News());
  EXPECT_EQ(watch.read(line(0.39)), News{"the held-out loss is down again at 0.39, its lowest was 0.4"});
}

}  // namespace
}  // namespace moga
