"use client";

import {useRouter} from "next/navigation";
import {useEffect} from "react";

// Shows the page anew when anybody has ordered.
export default function Live() {
  const router = useRouter();
  useEffect(() => {
    const events = new EventSource("/api/events");
    events.onmessage = () => router.refresh();
    return () => events.close();
  }, [router]);
  return null;
}
