// Joint attention of text and video: the groupings, compared with masks that are written from the definition.
#include "moga/attention/joint_groups.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "moga/attention/attend.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

// Two videos, with shots of 2, 3 and 1, 2 frames of 6 and 4 tokens.
const Layout kLayout{{{.frames = 5, .rows = 2, .columns = 3, .shot_frames = {2, 3}},
                      {.frames = 3, .rows = 2, .columns = 2, .shot_frames = {1, 2}}}};
const std::vector<int64_t> kLengths = {3, 1, 4, 2};

struct JointRow {
  int64_t shot;   // over all videos
  int64_t frame;  // over all videos; -1: a text token
};

std::vector<JointRow> rows_of(const Layout& layout, const std::vector<int64_t>& lengths) {
  std::vector<JointRow> rows;
  int64_t shot = 0, frame = 0;
  for (const VideoShape& video : layout.videos)
    for (const int64_t frames : video.shot_frames) {
      for (const int64_t end = frame + frames; frame < end; ++frame)
        rows.insert(rows.end(), video.frame_tokens(), JointRow{shot, frame});
      rows.insert(rows.end(), lengths[shot], JointRow{shot, -1});
      ++shot;
    }
  return rows;
}

bool sees(const JointRow& query, const JointRow& key, JointScope scope) {
  if (query.shot != key.shot) return false;
  return scope == JointScope::kShot || query.frame < 0 || key.frame < 0 || query.frame == key.frame;
}

at::Tensor mask_of(JointScope scope) {
  const auto rows = rows_of(kLayout, kLengths);
  const auto count = static_cast<int64_t>(rows.size());
  at::Tensor mask = at::zeros({count, count}, at::kBool);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < count; ++j) mask[i][j] = sees(rows[i], rows[j], scope);
  return mask;
}

at::Tensor masked(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  const at::Tensor logits = at::einsum("ihd,jhd->hij", {q, k}) / std::sqrt(double(q.size(2)));
  return at::einsum("hij,jhd->ihd", {logits.masked_fill(~mask, -INFINITY).softmax(-1), v});
}

TEST(JointGroups, EqualMaskedAttention) {
  at::manual_seed(1);
  for (const JointScope scope : {JointScope::kShot, JointScope::kFrame}) {
    const JointGroups groups = joint_groups(kLayout, kLengths, scope, at::kCPU);
    const at::Tensor q = at::randn({52, 2, 4}, at::kDouble), k = at::randn_like(q), v = at::randn_like(q);
    const at::Tensor expected = masked(q, k, v, mask_of(scope));
    EXPECT_TRUE(close(attend(q, k, v, groups.both).output, expected, 1e-12)) << name_of(scope);
    const at::Tensor video = attend(part_rows(q, groups).video, k, v, groups.video).output;
    EXPECT_TRUE(close(video, part_rows(expected, groups).video, 1e-12)) << name_of(scope);
  }
}

TEST(JointGroups, RowsAreJoinedByShotAndParted) {
  const JointGroups groups = joint_groups(kLayout, kLengths, JointScope::kShot, at::kCPU);
  const at::Tensor video = at::arange(42), text = 100 + at::arange(10);
  const at::Tensor joint = join_rows({video, text}, groups);
  EXPECT_TRUE(at::equal(joint.narrow(0, 0, 15), at::cat({at::arange(12), at::arange(100, 103)})));
  EXPECT_TRUE(at::equal(joint.narrow(0, 33, 1), at::full({1}, 103, at::kLong)));
  const VideoAndText parted = part_rows(joint, groups);
  EXPECT_TRUE(at::equal(parted.video, video));
  EXPECT_TRUE(at::equal(parted.text, text));
}

TEST(JointGroups, PairsAreThoseOfTheGroupings) {
  for (const JointScope scope : {JointScope::kShot, JointScope::kFrame}) {
    const JointGroups groups = joint_groups(kLayout, {7, 7, 7, 7}, scope, at::kCPU);
    const auto pairs = [](const Grouping& grouping) {
      double sum = 0;
      for (int64_t g = 0; g < grouping.groups(); ++g)
        sum += double(grouping.query.lengths[g]) * double(grouping.key.lengths[g]);
      return sum;
    };
    const JointPairs count = count_joint_pairs(kLayout, 7, scope);
    EXPECT_EQ(count.video, pairs(groups.video)) << name_of(scope);
    EXPECT_EQ(count.video + count.text, pairs(groups.both)) << name_of(scope);
  }
}

TEST(JointGroups, CaptionsAreCheckedAgainstTheLayout) {
  const auto error = [](const std::vector<int64_t>& lengths) {
    return error_of([&] { joint_groups(kLayout, lengths, JointScope::kFrame, at::kCPU); });
  };
  EXPECT_EQ(error({3, 1}), "joint groups: 2 captions for 4 shots, expected one per shot");
  EXPECT_EQ(error({3, 0, 1, 2}), "joint groups: a caption of 0 text tokens, expected at least 1");
}

}  // namespace
}  // namespace moga::test
