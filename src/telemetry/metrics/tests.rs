use super::*;

fn scrape(shards: &[&Arc<ShardMetrics>]) -> String {
    let members = Arc::<MemberMetrics>::default();
    members.set(Member::Active, 1);
    let shards = shards.iter().map(|shard| Arc::clone(shard)).collect();
    String::from_utf8(NodeMetrics::new(shards, members, Arc::default()).scrape().1).unwrap()
}

#[test]
fn a_scrape_sums_over_the_shards() {
    let (a, b) = (Arc::<ShardMetrics>::default(), Arc::<ShardMetrics>::default());
    a.request(Route::Image, 200, Cache::Disk, Duration::from_millis(2));
    b.request(Route::Image, 200, Cache::Disk, Duration::from_secs(60));
    b.resize(Resize::Ok);
    a.moved(CopyCause::Move, 30);
    a.moved(CopyCause::Scrub, 4);
    b.moved(CopyCause::Move, 5);
    let text = scrape(&[&a, &b]);
    for line in [
        r#"reticulum_http_requests_total{cache="disk",route="image",status="200"} 2"#,
        r#"reticulum_http_request_seconds_bucket{route="image",le="0.0025"} 1"#,
        r#"reticulum_http_request_seconds_bucket{route="image",le="10"} 1"#,
        r#"reticulum_http_request_seconds_bucket{route="image",le="+Inf"} 2"#,
        r#"reticulum_resizes_total{outcome="ok"} 1"#,
        "# TYPE reticulum_resize_queue gauge",
        "\nreticulum_repair_bytes_total 39\n",
        r#"reticulum_moved_bytes_total{cause="move"} 35"#,
        r#"reticulum_moved_bytes_total{cause="scrub"} 4"#,
        r#"reticulum_moved_bytes_total{cause="handover"} 0"#,
        r#"reticulum_members{state="active"} 1"#,
        r#"reticulum_members{state="joining"} 0"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn images_are_told_once_they_were_counted() {
    let disk = Arc::<DiskMetrics>::default();
    let all = NodeMetrics::new(Vec::new(), Arc::default(), Arc::clone(&disk));
    let scrape = || String::from_utf8(all.scrape().1).unwrap();
    disk.images.set(4);
    disk.image_bytes.set(100);
    assert!(!scrape().contains("reticulum_image"));
    disk.images_counted.set(1);
    let text = scrape();
    for line in ["# TYPE reticulum_images gauge", "reticulum_images 4", "reticulum_image_bytes 100"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_scrub_has_an_age_once_it_has_read_all_copies() {
    let disk = Arc::<DiskMetrics>::default();
    let all = NodeMetrics::new(Vec::new(), Arc::default(), Arc::clone(&disk));
    let scrape = || String::from_utf8(all.scrape().1).unwrap();
    disk.set_scrub(0.25, false, 0);
    assert!(scrape().contains("\nreticulum_scrub_position_ratio 0.25\n"));
    assert!(!scrape().contains("reticulum_scrub_age_seconds"));
    disk.set_scrub(0.0, false, 1);
    assert!(scrape().contains("\nreticulum_scrub_age_seconds "));
}
