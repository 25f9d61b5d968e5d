// Groups made from layouts of packed videos, on the host and on the device.
#include "moga/attention/grouping.h"

#include <torch/types.h>

#include "moga/core/random.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

std::vector<int64_t> list(const at::Tensor& x) {
  const at::Tensor y = x.to(at::kLong).contiguous();
  return {y.data_ptr<int64_t>(), y.data_ptr<int64_t>() + y.numel()};
}

const Layout kLayout{{{3, 2, 2, {1, 2}}, {2, 1, 3, {}}}};  // 12 + 6 tokens

TEST(Grouping, FullFramesAndCaptions) {
  EXPECT_EQ(list(full_groups(kLayout, at::kCPU).query.offsets), (std::vector<int64_t>{0, 12, 18}));
  EXPECT_EQ(list(frame_groups(kLayout, at::kCPU).key.offsets), (std::vector<int64_t>{0, 4, 8, 12, 15, 18}));
  const Grouping text = text_groups(kLayout, {5, 0, 7}, at::kCPU);
  EXPECT_EQ(list(text.query.offsets), (std::vector<int64_t>{0, 4, 12, 18}));
  EXPECT_EQ(list(text.key.offsets), (std::vector<int64_t>{0, 5, 5, 12}));
  EXPECT_EQ(text.key.longest, 7);
  EXPECT_EQ(error_of([] {
              text_groups(kLayout, {5, 5}, at::kCPU);
            }),
            "text groups: 2 captions for 3 shots, expected one per shot");
}

TEST(Grouping, NoticesRowsInSeveralGroups) {
  EXPECT_FALSE(make_rows({2, 1}, {4, 2, 0}, at::kCPU).repeated);
  EXPECT_TRUE(make_rows({2, 1}, {4, 2, 4}, at::kCPU).repeated);
  EXPECT_EQ(error_of([] { make_rows({2, 1}, {4, 2}, at::kCPU); }), "groups have 3 rows in all, the index has 2");
}

TEST(RoutedGroups, KeepRowsOfAVideoTogetherAndInOrder) {
  const at::Tensor group = at::tensor({2, 0, 2, 2, 0, 0, 2, 2, 2, 2, 2, 2, /**/ 1, 0, 1, 1, 1, 0}, at::kLong);
  const Rows rows = routed_groups(kLayout, group, 3).query;
  EXPECT_EQ(list(rows.offsets), (std::vector<int64_t>{0, 3, 3, 12, 14, 18, 18}));
  EXPECT_EQ(list(rows.index), (std::vector<int64_t>{1, 4, 5, 0, 2, 3, 6, 7, 8, 9, 10, 11, 13, 17, 12, 14, 15, 16}));
  EXPECT_EQ(rows.longest, 12);
  EXPECT_EQ(rows.count, 18);
}

TEST(RoutedGroups, UngroupingGroupedRowsChangesNothing) {
  const Layout layout{{{2, 5, 7, {}}, {1, 5, 14, {}}, {3, 4, 4, {}}}};
  const at::Tensor group = at::randint(0, 5, {layout.tokens()}, random_stream(1, "group"), at::kLong);
  const Rows rows = routed_groups(layout, group, 5).query;
  const at::Tensor x = at::randn({layout.tokens(), 4}, random_stream(1, "x"));
  const at::Tensor grouped = x.index_select(0, rows.index);
  EXPECT_TRUE(at::equal(at::empty_like(x).index_copy_(0, rows.index, grouped), x));
}

TEST(RoutedGroups, HoldManyGroupsAndVideos) {
  const Layout layout{std::vector<VideoShape>(40, VideoShape{1, 1, 30, {}})};
  const at::Tensor group = at::randint(0, 1000, {1200}, random_stream(1, "group"), at::kLong);  // 40,000 in all
  const Rows rows = routed_groups(layout, group, 1000).query;
  const at::Tensor number = at::arange(1200).div(30, "floor") * 1000 + group;
  EXPECT_TRUE(at::equal(rows.index, at::argsort(number, /*stable=*/true, 0, false)));
  EXPECT_TRUE(at::equal(rows.offsets.diff().to(at::kLong), at::bincount(number, {}, 40000)));
}

TEST(RoutedGroups, TakeOnlyARoutingOfTheLayout) {
  EXPECT_EQ(error_of([] { routed_groups(kLayout, at::zeros({17}, at::kLong), 3); }),
            "routing has shape [17], expected [18]");
}

TEST(RoutedGroupsGpu, AreThoseOfTheCpu) {
  MOGA_NEEDS_GPU();
  const std::vector<VideoShape> many(40, VideoShape{1, 1, 30, {}});
  for (const auto& [videos, groups] : {std::pair{std::vector<VideoShape>{{120, 30, 52, {}}}, int64_t{5}},
                                       {{{2, 5, 7, {}}, {2, 5, 7, {}}, {3, 4, 4, {}}}, 20},
                                       {many, 25},       // 1,000 in all: the most the kernel counts is 1,024
                                       {many, 1000}}) {  // 40,000 in all
    const Layout layout{videos};
    const at::Tensor group = at::randint(0, groups, {layout.tokens()}, random_stream(1, "group"), at::kLong);
    const Rows cpu = routed_groups(layout, group, groups).query,
               gpu = routed_groups(layout, group.cuda(), groups).query;
    EXPECT_TRUE(at::equal(gpu.index.cpu(), cpu.index)) << groups;
    EXPECT_TRUE(at::equal(gpu.offsets.cpu(), cpu.offsets)) << groups;
    EXPECT_EQ(gpu.longest, cpu.longest);
  }
}

}  // namespace
}  // namespace moga::test
